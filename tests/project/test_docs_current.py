"""The generated pages of the docs are those that the code gives now."""

import re

import pytest

from docs.generate import DOCS, GENERATED, PAGES, edges
from docs.pictures import PICTURES, draw
from vai.domain.events import EVENT_TYPES
from vai.domain.evolve import HANDLERS
from vai.domain.status import RunStatus, StepStatus


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    page = GENERATED + PAGES[name]()
    assert (DOCS / name).read_text() == page, "write the pages anew: make docs"


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_of_an_example_is_current(name: str) -> None:
    drawn = (DOCS / "images" / f"{name}.svg").read_text()
    assert drawn == draw(PICTURES[name]), "draw the pictures anew: make docs"


def test_the_drawing_shows_every_status_and_every_event_that_moves_something() -> None:
    of_runs, of_steps = edges()
    assert {status for edge in of_runs for status in edge} == set(RunStatus)
    assert {status for edge in of_steps for status in edge} == set(StepStatus)
    drawn = {event for found in (*of_runs.values(), *of_steps.values()) for event in found}
    assert drawn == {event_type.type for event_type in HANDLERS}


def test_the_page_names_every_event() -> None:
    named = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", PAGES["state-machine.md"](), flags=re.MULTILINE)
    assert named == list(EVENT_TYPES)
