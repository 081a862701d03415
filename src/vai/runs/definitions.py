"""The compiled definitions of stored versions: a version never changes once it can run, so it is compiled once."""

from typing import Any

from vai.definition import Definition, parse
from vai.domain.graph import Graph
from vai.ports import Actions

_CACHE_SIZE = 500


class Definitions:
    """Compiles and remembers."""

    def __init__(self, actions: Actions) -> None:
        self.actions = actions
        self._compiled: dict[str, Definition] = {}

    def parse(self, config: Any) -> Definition:
        """Check and compile a config that somebody wrote. Raises InvalidDefinition with every fault."""
        return parse(config, self.actions)

    def stored(self, version_id: str, config: Any) -> Definition:
        """The compiled definition of a stored version; kinds that are gone since are left to fail at run time."""
        known = self._compiled.get(version_id)
        if known is None:
            if len(self._compiled) >= _CACHE_SIZE:
                self._compiled.clear()
            known = self._compiled[version_id] = parse(config, None)
        return known

    def graph(self, version_id: str, config: Any) -> Graph:
        """The graph of a stored version."""
        return self.stored(version_id, config).graph
