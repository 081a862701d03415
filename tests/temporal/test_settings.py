"""What an operator sets, and the sentence that tells what is wrong with it."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vai.settings import BadSetting, Settings, settings_from
from vai.temporal import TemporalSettings
from vai.temporal.connecting import Seldom, tls_of
from vai.wiring import CannotServe, running


def test_settings_come_from_the_environment() -> None:
    settings = settings_from(
        {
            "VAI_DAG_ENGINE": "temporal",
            "VAI_TEMPORAL_TLS_CERT": "client.pem",
            "VAI_TEMPORAL_API_KEY": "s3cret",
            "VAI_WORKER_LABELS": "gpu, eu",
            "VAI_WORKER_KINDS": "wait,http_request",
        }
    )
    assert (settings.dag_engine, settings.temporal_tls_cert) == ("temporal", Path("client.pem"))
    assert settings.worker_labels == ("gpu", "eu")
    assert settings.worker_kinds == ("wait", "http_request")
    assert "s3cret" not in repr(settings)


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"VAI_DAG_ENGINE must be one of embedded, temporal, not 'airflow'"):
        settings_from({"VAI_DAG_ENGINE": "airflow"})


@pytest.mark.parametrize("files", [{}, {"tls": True}, {"tls_cert": "c", "tls_key": "k"}, {"tls_ca": "a"}])
def test_certificates_make_the_connection_secure(tmp_path: Path, files: dict[str, str | bool]) -> None:
    chosen = {}
    for name, value in files.items():
        if isinstance(value, str):
            (tmp_path / value).write_text(name)
            chosen[name] = tmp_path / value
        else:
            chosen[name] = value
    tls = tls_of(TemporalSettings("localhost:7233", **chosen))  # type: ignore[arg-type]
    if isinstance(tls, bool):
        assert tls == bool(files)
    else:
        given = {"tls_ca": tls.server_root_ca_cert, "tls_cert": tls.client_cert, "tls_key": tls.client_private_key}
        assert {name: text for name, text in given.items() if text} == {name: name.encode() for name in files}


async def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine=False, dag_engine="temporal", temporal_tls_ca=tmp_path / "none.pem")
    with pytest.raises(CannotServe, match=r"certificate for Temporal cannot be read: .*none\.pem"):
        async with running(settings):
            pass


async def test_without_the_extra_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vai.temporal", None)
    with pytest.raises(CannotServe, match=r"vai-engine\[temporal\]"):
        async with running(Settings(data_dir=tmp_path, engine=False, dag_engine="temporal")):
            pass


async def test_kinds_that_a_worker_shall_do_and_does_not_know_are_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine=False, dag_engine="temporal", worker_kinds=("wait", "trian"))
    with pytest.raises(CannotServe, match=r"VAI_WORKER_KINDS names kinds that are not known here: trian\."):
        async with running(replace(settings, temporal_worker=True)):
            pass


def test_the_library_says_the_same_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    seldom = Seldom()

    def is_written(target: str) -> bool:
        record = logging.LogRecord("temporalio.core", logging.WARNING, "", 0, "retried", None, None)
        record.temporal_log = SimpleNamespace(target=target)
        return seldom.filter(record)

    assert [is_written(target) for target in ("retry", "retry", "worker", "retry")] == [True, False, True, False]
    now += 60
    assert is_written("retry")
