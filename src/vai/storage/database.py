"""What the two databases have in common, and the faces that each of them implements."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, ColumnElement

from vai.storage.jobs import Committed, Job
from vai.storage.outage import Outage
from vai.storage.statements import Connection, Statement

T = TypeVar("T")


class Session(Protocol):
    """The writer's own connection. Used by the writer's thread alone."""

    def apply(self, jobs: Sequence[Job]) -> tuple[list[Any], list[Committed]]:
        """Do all jobs in one transaction: an answer for each (an exception where it alone failed), and the runs
        that changed. Raises the driver's error when the transaction failed; then nothing was written."""
        ...

    def reset(self) -> None:
        """Roll back what a failed `apply` left; connect again if need be, at the latest with the next `apply`."""
        ...

    def close(self) -> None: ...


class Database(ABC):
    """One database: its connections, its dialect, and what it says of engines that live."""

    dialect: Dialect
    grace_seconds = 0.0  # how long an engine has to be missing to be dead
    outage: Outage

    def compile(self, clause: ClauseElement) -> Statement:
        """The statement for this database's driver."""
        return Statement(clause, self.dialect)

    @property
    @abstractmethod
    def now(self) -> ColumnElement[int]:
        """The present in milliseconds, for leases: on the database's clock, or the parameter `now`."""

    @abstractmethod
    def connect(self) -> Any:
        """A connection with our settings. Blocks. Raises the driver's errors."""

    @abstractmethod
    def prepare(self) -> None:
        """Migrate, and open the connections for reading. Blocks. Raises StoreUnavailable."""

    @abstractmethod
    def session(self) -> Session:
        """The writer's connection. Blocks. Raises StoreUnavailable."""

    @abstractmethod
    def listen(self, tell: Callable[[Committed], None]) -> None:
        """Hear, on this event loop, of the commits of other processes, where the database tells of them."""

    @abstractmethod
    async def read(self, work: Callable[[Connection], T], *, is_keyed: bool = False) -> T:
        """Do `work` on a connection beside the writer. `is_keyed`: a few rows found by key. Raises
        StoreUnavailable."""

    @abstractmethod
    async def snapshot(self, work: Callable[[Connection], T], *, is_keyed: bool = False) -> T:
        """Like `read`, but several statements see one moment."""

    @abstractmethod
    def explain(self, error: Exception) -> Exception:
        """The driver's error in the terms of the ports: StoreUnavailable, AlreadyExists, or as it is."""

    @abstractmethod
    def hold(self, engine_id: str) -> None:
        """Show that the engine lives, until `let_go` or the end of this process. Blocks."""

    @abstractmethod
    def let_go(self, engine_id: str) -> None:
        """Show no more that the engine lives. Blocks."""

    @abstractmethod
    def missing(self, connection: Connection, engine_ids: Sequence[str]) -> Sequence[str]:
        """Which of these engines show no sign of life now; if that stays so for `grace_seconds`, they are dead."""

    def give_back(self, connection: Connection) -> bool:
        """Give a piece of the room that is free in the file back to the system, as part of a transaction. True: there
        may be more. A database that looks after itself does nothing."""
        return False

    def rebuild(self) -> bool:
        """Make a file anew, without its free room, if it cannot give that back in pieces and it takes but a moment.
        Blocks. True: it was done. Raises StoreUnavailable."""
        return False

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """What a health check says of it."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections but the writer's session."""
