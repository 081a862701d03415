"""What depends on what: given, named by expressions, chosen by branches; and the circles that must not be."""

from collections.abc import Mapping, Sequence

from vai.definition.faults import Faults, Loc, shown

MAX_CYCLES = 20
MAX_SHOWN = 12  # steps of a circle


class Links:
    """The dependencies of each step, in the order in which they were found, each with its place in config."""

    def __init__(self, keys: Mapping[str, Loc], faults: Faults) -> None:
        """`keys`: every step with its place."""
        self._keys = keys
        self._faults = faults
        self._links: dict[str, dict[str, Loc]] = {key: {} for key in keys}

    def add(self, key: str, upstream: str, loc: Loc, verb: str = "depends on") -> None:
        """Let `key` depend on `upstream`, or note why it cannot. `loc` is where this is said."""
        if upstream not in self._keys:
            end = self._faults.suggest(upstream, self._keys)
            self._faults.add(loc, f"There is no step {shown(upstream)}.{end}", "unknown_step")
        elif upstream == key:
            self._faults.add(loc, f"The step {shown(key)} {verb} itself.", "cycle")
        else:
            self._links[key].setdefault(upstream, loc)

    def add_choice(self, branch: str, chosen: str, loc: Loc) -> None:
        """Let `chosen`, which a branch may take, depend on the branch. `loc` is where the branch names it."""
        if chosen in self._keys and chosen != branch:
            self.add(chosen, branch, loc)
        else:
            self.add(branch, chosen, loc, "chooses")

    def of(self, key: str) -> tuple[str, ...]:
        """What `key` depends on."""
        return tuple(self._links[key])

    def check_cycles(self) -> None:
        """Note every circle (up to a bound), each at the dependency that closes it."""
        rest = {key: set(links) for key, links in self._links.items()}
        for _ in range(MAX_CYCLES):
            _trim(rest)
            if not rest:
                return
            cycle = _walk(rest)
            shortened = cycle if len(cycle) <= MAX_SHOWN else (*cycle[:MAX_SHOWN], "…")
            text = " -> ".join((*shortened, cycle[0]))
            loc = self._links[cycle[0]][cycle[1]]
            self._faults.add(loc, f"The steps wait for one another: {text}.", "cycle")
            for key in cycle:
                del rest[key]


def _trim(rest: dict[str, set[str]]) -> None:
    """Remove the steps that are in no circle and wait for none, until only others are left."""
    dependents: dict[str, list[str]] = {key: [] for key in rest}
    for key, links in rest.items():
        links.intersection_update(rest.keys())
        for upstream in links:
            dependents[upstream].append(key)
    free = [key for key, links in rest.items() if not links]
    while free:
        key = free.pop()
        del rest[key]
        for dependent in dependents[key]:
            rest[dependent].discard(key)
            if not rest[dependent]:
                free.append(dependent)


def _walk(rest: Mapping[str, set[str]]) -> Sequence[str]:
    """A circle: follow dependencies until a step comes again. It begins with the step defined first."""
    order = {key: i for i, key in enumerate(rest)}
    key = next(iter(rest))
    seen: dict[str, int] = {}
    while key not in seen:
        seen[key] = len(seen)
        key = min(rest[key], key=order.__getitem__)
    cycle = list(seen)[seen[key] :]
    first = cycle.index(min(cycle, key=order.__getitem__))
    return cycle[first:] + cycle[:first]
