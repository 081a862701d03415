"""The compiled definitions of stored versions: a version never changes once it can run, so it is compiled once."""

import asyncio
from typing import Any

from vai.definition import Definition, is_large, parse
from vai.domain.graph import Graph
from vai.ports import Actions

_CACHE_SIZE = 500


class Definitions:
    """Compiles and remembers."""

    def __init__(self, actions: Actions) -> None:
        self.actions = actions
        self._compiled: dict[str, Definition] = {}

    async def parse(self, config: Any) -> Definition:
        """Check and compile a config that somebody wrote. Raises InvalidDefinition with every fault."""
        return await _parse(config, self.actions)

    async def prepare(self, version_id: str, config: Any) -> None:
        """Compile a stored version, unless it is known, so that `stored` and `graph` answer at once."""
        if version_id not in self._compiled:
            self._remember(version_id, await _parse(config, None))

    def stored(self, version_id: str, config: Any) -> Definition:
        """The compiled definition of a stored version; kinds that are gone since are left to fail at run time."""
        known = self._compiled.get(version_id)
        if known is None:
            known = self._remember(version_id, parse(config, None))
        return known

    def _remember(self, version_id: str, definition: Definition) -> Definition:
        if len(self._compiled) >= _CACHE_SIZE:
            self._compiled.clear()
        self._compiled[version_id] = definition
        return definition

    def graph(self, version_id: str, config: Any) -> Graph:
        """The graph of a stored version."""
        return self.stored(version_id, config).graph


async def _parse(config: Any, actions: Actions | None) -> Definition:
    if is_large(config):
        # Thousands of steps take seconds; the process goes on with everything else meanwhile.
        return await asyncio.to_thread(parse, config, actions)
    return parse(config, actions)
