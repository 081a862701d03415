"""Many stored runs for W5: copies of one run that the server made, put into its table by SQL."""

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

_TABLE = "automation_runs"
_BATCH = 5_000
_OTHER_STATUS = {0: "cancelled", 1: "failed", 2: "failed"}  # of a hundred; the rest stay completed
_SPACING_MS = 1_000


def copy_runs(count: int, data_dir: Path, database_url: str | None) -> None:
    """Make `count` older copies of the newest completed run. No server may run on a SQLite file meanwhile."""
    if database_url is None:
        _sqlite(count, data_dir / "vai.db")
    else:
        _postgres(count, database_url)


def _sqlite(count: int, path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        columns, row = _template(connection.execute(_newest()))
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {_TABLE} ({', '.join(columns)}) VALUES ({marks})"
        for batch in _batches(columns, row, count):
            connection.executemany(sql, batch)
        connection.commit()
        connection.execute("ANALYZE")
        connection.commit()
    finally:
        connection.close()


def _postgres(count: int, url: str) -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        columns, row = _template(cursor.execute(_newest()))
        with cursor.copy(f"COPY {_TABLE} ({', '.join(columns)}) FROM STDIN") as copy:
            for batch in _batches(columns, row, count):
                for one in batch:
                    copy.write_row(one)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")


def _newest() -> str:
    return f"SELECT * FROM {_TABLE} WHERE status = 'completed' ORDER BY id DESC LIMIT 1"


def _template(cursor: Any) -> tuple[list[str], tuple[Any, ...]]:
    return [column[0] for column in cursor.description], tuple(cursor.fetchone())


def _batches(columns: list[str], row: tuple[Any, ...], count: int) -> Iterator[list[tuple[Any, ...]]]:
    """Rows like `row`, each a second older than the one before it, some of them failed or cancelled."""
    chance = random.Random(0)
    at = {name: columns.index(name) for name in ("id", "status", "idempotency_key")}
    times = [n for n, name in enumerate(columns) if name.endswith("_at") and row[n] is not None]
    now = time.time_ns() // 1_000_000
    batch: list[tuple[Any, ...]] = []
    for number in range(count):
        values = list(row)
        age = (number + 1) * _SPACING_MS
        values[at["id"]] = _uuid7(now - age - 3_600_000, chance)
        values[at["status"]] = _OTHER_STATUS.get(number % 50, "completed")
        values[at["idempotency_key"]] = None
        for n in times:
            values[n] = row[n] - age
        batch.append(tuple(values))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _uuid7(milliseconds: int, chance: random.Random) -> str:
    bits = milliseconds << 80 | 0x7 << 76 | chance.getrandbits(12) << 64 | 0b10 << 62 | chance.getrandbits(62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
