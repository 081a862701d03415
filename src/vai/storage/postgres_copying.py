"""Backup and restore of a PostgreSQL database by its own tools, pg_dump and pg_restore."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vai.ports import StoreUnavailable
from vai.ports.faults import CannotCopy
from vai.storage.copying import Backup, Restored, check_source, draft_of
from vai.storage.migrate import check_revision

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name IN ('vai', nullif(current_setting('application_name'), '')) AND pid <> pg_backend_pid()"
)
_TABLES = "SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = current_schema()"
_LISTED = re.compile(r"^\d+; \d+ \d+ TABLE \S+ (\S+) ", re.MULTILINE)
_TABLE = "SELECT to_regclass('automation_runs') IS NOT NULL"
_DATA = "SELECT EXISTS (SELECT 1 FROM automations) OR EXISTS (SELECT 1 FROM automation_runs)"
_AS_ANYBODY = ("--no-owner", "--no-privileges")


def backup_postgres(url: str, target: Path, *, force: bool) -> Backup:
    """Dump the database as of one moment, also while it is used, and check the dump. Raises CannotCopy."""
    where, environment = _connection(url)
    with draft_of(target, force=force) as draft:
        _call("pg_dump", "--format=custom", *_AS_ANYBODY, f"--file={draft}", f"--dbname={where}", env=environment)
        revision = _revision(draft)
        if revision is None:
            raise CannotCopy("The database holds no tables of vai. Name another one with --database-url.")
    return Backup(target, target.stat().st_size, revision, None)


def restore_postgres(url: str, source: Path, *, force: bool) -> Restored:
    """Put a dump in the place of all that is there, in one transaction. Raises CannotCopy."""
    check_source(source, "PostgreSQL")
    revision = _revision(source)
    if revision is None:
        raise CannotCopy(f"{source} is not a dump of a vai database.")
    where, environment = _connection(url)
    _refuse_over_data(url, set(_LISTED.findall(_call("pg_restore", "--list", str(source)))), force=force)
    _call(
        *("pg_restore", "--single-transaction", "--exit-on-error", "--clean", "--if-exists", *_AS_ANYBODY),
        *(f"--dbname={where}", str(source)),
        env=environment,
    )
    return Restored(revision, None)


def _connection(url: str) -> tuple[str, Mapping[str, str]]:
    """Where the database is, for a tool's arguments, which everybody on the machine can read; and the environment,
    which has the password."""
    parts = conninfo_to_dict("postgresql://" + url.split("://", 1)[1])
    password = parts.pop("password", None)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return make_conninfo("", **parts), environment


def _revision(dump: Path) -> str | None:
    """The schema's revision in a dump that can be read to its end of contents; None when it is not one of ours.
    Raises CannotCopy."""
    text = _call("pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(dump))
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("COPY ")), None)
    if start is None or len(lines) <= start + 1:
        return None
    revision = lines[start + 1].strip()
    try:
        check_revision(revision, "in the file")
    except StoreUnavailable as reason:
        raise CannotCopy(str(reason)) from reason
    return revision


def _refuse_over_data(url: str, tables: set[str], *, force: bool) -> None:
    """Raise CannotCopy where somebody is at work, where there is data and `force` is not given, or where there are
    other tables than these, of the backup: they would stay, without what belongs to them."""
    try:
        with psycopg.connect(
            "postgresql://" + url.split("://", 1)[1], autocommit=True, connect_timeout=5
        ) as connection:
            if _one(connection, _OTHERS):
                raise CannotCopy(
                    "The database is used by a running process. Stop every vai that uses it, then restore."
                )
            if _one(connection, _TABLE) and _one(connection, _DATA) and not force:
                raise CannotCopy(
                    "The database holds data. --force replaces it by the backup; make a backup of it first."
                )
            more = sorted(set(_one(connection, _TABLES) or ()) - tables)
            if more:
                raise CannotCopy(
                    f"The database holds tables that the backup does not know: {', '.join(more)}. Restore into an "
                    "empty database, and use that one."
                )
    except psycopg.Error as error:
        raise CannotCopy(f"The database cannot be used: {str(error).strip().splitlines()[0]}.") from error


def _one(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def _call(program: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    path = shutil.which(program)
    if path is None:
        raise CannotCopy(
            f"{program} is not on PATH. Install PostgreSQL's client programs (Debian: postgresql-client), of the "
            "server's version or newer."
        )
    environment = {**(os.environ if env is None else env), "LC_ALL": "C"}
    done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCopy(f"{program} failed; nothing was changed: {_reason(done.stderr)}")
    return done.stdout


def _reason(said: str) -> str:
    """What a program said of its failure, and what to do about the one that is met most."""
    lines = [line.split("detail:")[-1].strip() for line in said.splitlines()]
    first = next((n for n, line in enumerate(lines) if "error:" in line), 0)
    reason = lines[first] if lines else "?"
    if "detail:" in "".join(said.splitlines()[first + 1 : first + 2]):
        reason += f" ({lines[first + 1]})"
    if "version" in reason:
        reason += ". Put PostgreSQL's client programs of the server's version, or newer, first on PATH."
    return reason
