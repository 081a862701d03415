"""Events as they are stored: every type, there and back."""

import inspect
import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.world import RUN_ID, a_run, step
from vai.domain import events as e
from vai.domain.events import EVENT_TYPES, Event, StepEvent, data_of, event_of
from vai.domain.evolve import evolve
from vai.domain.ids import action_run_id, idempotency_key
from vai.domain.state import EventWait, Result, RunError, StepError
from vai.domain.status import RetryMode, SkipReason

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text() | st.sampled_from(["at", "key", "type"]), values, max_size=3)
words = st.text(max_size=20)
errors = st.builds(StepError, words, words, st.booleans(), objects)
waits = st.builds(EventWait, words, st.integers(0, 2**48), st.none() | words, st.none() | objects)
results = st.builds(Result, values, st.booleans(), st.none() | words)
fields = {
    **{"at": st.integers(0, 2**48), "key": words, "by": st.none() | words, "attempt": st.integers(1, 99)},
    **{"error": errors, "result": results, "fields": objects, "progress": objects, "wait": waits},
    "rerun": st.lists(words, max_size=3).map(tuple),
}
special = {
    e.RunFailed: {"error": st.builds(RunError, words, words, st.lists(words, max_size=2).map(tuple))},
    e.StepSkipped: {"reason": st.sampled_from(SkipReason)},
    e.RunRetried: {"mode": st.sampled_from(RetryMode)},
}


def any_of(event_type: type[Event]) -> st.SearchStrategy[Event]:
    known = {**fields, **special.get(event_type, {})}
    return st.builds(event_type, **{name: known[name] for name in event_type.__struct_fields__ if name in known})


def test_every_type_of_event_is_known_by_its_name() -> None:
    defined = {cls for _, cls in inspect.getmembers(e, inspect.isclass) if issubclass(cls, Event) and cls.type}
    assert set(EVENT_TYPES.values()) == defined
    assert all(name == cls.type for name, cls in EVENT_TYPES.items())
    assert all(name.startswith("step.") == issubclass(cls, StepEvent) for name, cls in EVENT_TYPES.items())


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=EVENT_TYPES)
@given(data=st.data())
def test_an_event_read_back_is_the_event_that_was_stored(event_type: type[Event], data: st.DataObject) -> None:
    event = data.draw(any_of(event_type))
    stored = data_of(event)
    assert event_of(event.type, event.at, event.step_key, stored) == event
    assert event_of(event.type, event.at, event.step_key, stored.decode()) == event
    assert not {"at", "key", "type"} & set(json.loads(stored)), "what every event has stands beside the data"


def test_the_data_of_an_event_is_in_the_words_of_the_api() -> None:
    started = e.StepStarted(1, "extract", "an-id", 2)
    assert json.loads(data_of(started)) == {"actionRunId": "an-id", "tryNumber": 2}


@pytest.mark.parametrize(
    "event", [e.StepProgress(1, "a", {"done": 1}), e.StepLog(1, "a", "info", "hello"), e.StepLogDropped(1, "a", 4)]
)
def test_progress_and_logs_change_no_state(event: Event) -> None:
    world = a_run(step("a")).start()
    assert evolve(world.state, [event]) == world.state


def test_ids_of_action_runs_are_uuids_of_version_7_that_follow_from_their_names() -> None:
    of = UUID(action_run_id(RUN_ID, "a", 1, 1_700_000_000_123))
    assert (of.version, of.variant) == (7, "specified in RFC 4122")
    assert of.int >> 80 == 1_700_000_000_123
    assert str(of) == action_run_id(RUN_ID, "a", 1, 1_700_000_000_123)
    others = {action_run_id(RUN_ID, f"a[{i}]", n, 1_700_000_000_123) for i in range(500) for n in (1, 2)}
    assert len(others) == 1_000


def test_the_idempotency_key_is_the_same_over_tries_and_another_for_each_attempt() -> None:
    assert idempotency_key(RUN_ID, "a", 2) == f"{RUN_ID}:a:2"
