"""An upgrade while processes of the version before go on: what docs/deployment.md says of it, with real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.processes.test_several import ACTIONS, Running, follow, publish, start
from tests.serving import Server
from vai.storage.migrate import HEAD

VAI = str(Path(sys.executable).with_name("vai"))
NEWER = Path(__file__).with_name("newer.py")
PATIENT = {"VAI_LEASE_SECONDS": "600"}

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None


def upgrade():
    op.create_table("of_a_newer_version", sa.Column("id", sa.Text(), primary_key=True))
    op.add_column("automation_runs", sa.Column("newer", sa.Text(), nullable=True))
    op.add_column("steps", sa.Column("newer", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("of_a_newer_version_too", "events", ["occurred_at"])
"""


def newer(folder: Path, revision: str) -> list[str]:
    """The command of a version whose newest migration is called `revision`."""
    file = folder / "migrations" / "newer.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(MIGRATION.format(revision=revision, before=HEAD))
    return [sys.executable, str(NEWER), str(file), revision]


@pytest.fixture
def older(tmp_path: Path, postgres_url: str) -> Server:
    return Server(tmp_path / "older", ["--actions", str(ACTIONS)], postgres_url, PATIENT)


def schema(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert row is not None
        return str(row[0])


def waits_for(gate: Path) -> list[dict[str, object]]:
    work = {"kind": "until_there", "definition": {"path": str(gate)}}
    return [{"key": "one", **work}, {"key": "two", "kind": "noop", "dependsOn": ["one"]}]


@pytest.mark.postgres
@pytest.mark.process
def test_a_newer_version_migrates_while_the_one_before_goes_on(
    tmp_path: Path, postgres_url: str, older: Server
) -> None:
    gate, plain = tmp_path / "gate", [{"key": "a", "kind": "noop"}]
    command = newer(tmp_path, "9999_0001")
    after = Server(tmp_path / "newer", ["--actions", str(ACTIONS)], postgres_url, PATIENT, program=command)
    with Running([older]), older.client() as here:
        at_work = start(here, publish(here, waits_for(gate)))
        follow(here, at_work, "step.log")
        assert schema(postgres_url) == HEAD
        with Running([after]), after.client() as there:
            assert schema(postgres_url) == "9999_0001"
            # What was at work in the older process goes on there, and each takes new runs and tells of both.
            gate.touch()
            types = [event["type"] for event in follow(there, at_work, "run.completed")]
            assert "step.interrupted" not in types
            for one, other in ((here, there), (there, here)):
                follow(other, start(one, publish(one, plain)), "run.completed")
            # A process of the version before may also start on the newer schema,
            late = Server(tmp_path / "late", ["--actions", str(ACTIONS)], postgres_url, PATIENT)
            with Running([late]), late.client() as client:
                follow(client, start(client, publish(client, plain)), "run.completed")
            # and is replaced without a gap.
            automation = publish(there, plain)
            runs = [start(here, automation) for _ in range(5)]
            assert older.stop() == 0
            for run_id in runs:
                types = [event["type"] for event in follow(there, run_id, "run.completed")]
                assert "step.interrupted" not in types


@pytest.mark.postgres
@pytest.mark.process
def test_a_process_that_is_too_old_for_the_schema_says_what_to_do(tmp_path: Path, postgres_url: str) -> None:
    after = Server(tmp_path / "newer", (), postgres_url, program=newer(tmp_path, "9998"))
    with Running([after]):
        assert schema(postgres_url) == "9998"
        for command in ("serve", "worker"):
            asked = [VAI, command, "--data-dir", tmp_path / "older", "--database-url", postgres_url]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1
            assert "was made by a newer vai (schema 9998); install that version or newer." in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.process
def test_a_database_on_sqlite_is_migrated_beside_the_version_before(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'vai.db'}"
    gate = tmp_path / "gate"
    older = Server(tmp_path / "older", ["--actions", str(ACTIONS)], url, PATIENT)
    after = Server(tmp_path / "newer", ["--actions", str(ACTIONS)], url, PATIENT, program=newer(tmp_path, "9999_0001"))
    with Running([older]), older.client() as here:
        at_work = start(here, publish(here, waits_for(gate)))
        follow(here, at_work, "step.log")
        with Running([after]), after.client() as there:
            gate.touch()
            types = [event["type"] for event in follow(here, at_work, "run.completed")]
            assert "step.interrupted" not in types
            follow(there, start(there, publish(there, [{"key": "a", "kind": "noop"}])), "run.completed")
            told = subprocess.run(
                [VAI, "doctor", "--data-dir", tmp_path / "older", "--database-url", url],
                capture_output=True,
                text=True,
                check=False,
            )
            assert "9999_0001, of a newer version." in told.stdout
