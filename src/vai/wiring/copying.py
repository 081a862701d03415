"""`vai backup` and `vai restore`: the database of a deployment into a file, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vai.ports.faults import CannotCopy
from vai.settings import Settings
from vai.storage import Backup, Restored
from vai.storage import back_up as _back_up
from vai.storage import restore as _restore
from vai.wiring.faults import CannotServe

T = TypeVar("T")


def back_up(settings: Settings, target: Path, *, force: bool) -> Backup:
    """Write the database into `target`, also while servers use it. Raises CannotServe."""
    return _told(lambda: _back_up(settings.database, target, force=force))


def restore(settings: Settings, source: Path, *, force: bool) -> Restored:
    """Put a backup in the place of the database, which nobody may be using. Raises CannotServe."""
    return _told(lambda: _restore(settings.database, source, force=force))


def artifacts_place(settings: Settings) -> str:
    """Where the files are that steps attached, in words: neither command touches them."""
    return str(settings.data_dir / "artifacts") if settings.artifacts_url is None else "what is at VAI_ARTIFACTS_URL"


def _told(work: Callable[[], T]) -> T:
    try:
        return work()
    except (CannotCopy, ValueError) as reason:
        raise CannotServe(str(reason)) from reason
