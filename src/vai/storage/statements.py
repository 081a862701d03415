"""Statements described in SQLAlchemy Core and compiled once to a driver's text."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, ColumnElement


def param(name: str) -> ColumnElement[Any]:
    """A parameter of a statement."""
    return bindparam(name)


class Cursor(Protocol):
    """What both drivers' cursors can do."""

    rowcount: int

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """What both drivers' connections can do."""

    def execute(self, query: Any, params: Any = ..., /) -> Any: ...


class Statement:
    """A statement's text for one driver, and the names of its parameters in order."""

    __slots__ = ("defaults", "names", "text")

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        self.text = str(compiled)
        self.names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        self.defaults: Mapping[str, Any] = compiled.params or {}

    def run(self, connection: Connection, params: Mapping[str, Any] | None = None) -> Cursor:
        """Execute with named values; what has a value in the statement itself need not be given."""
        given = params or {}
        defaults = self.defaults
        values = tuple([given[name] if name in given else defaults[name] for name in self.names])
        cursor: Cursor = connection.execute(self.text, values)
        return cursor

    def one(self, connection: Connection, params: Mapping[str, Any] | None = None) -> Any:
        """The first row, or None. Fetches all, for SQLite holds its snapshot until a result is read to its end."""
        rows = self.run(connection, params).fetchall()
        return rows[0] if rows else None

    def all(self, connection: Connection, params: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows."""
        return self.run(connection, params).fetchall()
