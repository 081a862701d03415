"""`vai serve` and `vai worker`: the API with an engine, or either alone, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from vai.actions import masked
from vai.api import create_watch_app, end_streams
from vai.settings import Settings
from vai.telemetry import configure_logging
from vai.wiring.faults import CannotServe
from vai.wiring.loop import run
from vai.wiring.reception import BoundedProtocol
from vai.wiring.system import System, running


def serve(settings: Settings) -> int:
    """Serve the API until SIGTERM or SIGINT; the exit code. Raises CannotServe."""
    _log_to_stderr(settings)
    with contextlib.closing(_listen(settings.host, settings.port, "--port")) as listener:
        run(_serve(settings, listener))
    return 0


def work(settings: Settings) -> int:
    """Drive runs without serving the API, until SIGTERM or SIGINT; the exit code. Raises CannotServe."""
    _log_to_stderr(settings)
    if settings.metrics_port is None:
        run(_work(settings))
    else:
        with contextlib.closing(_listen(settings.host, settings.metrics_port, "--metrics-port")) as listener:
            run(_work_watched(settings, listener))
    return 0


async def _work(settings: Settings) -> None:
    async with running(settings) as system:
        stopped = asyncio.Event()
        _stop_on_signals(system, stopped.set)
        print(f"vai works, with its data in {settings.data_dir}", flush=True)
        await stopped.wait()


async def _work_watched(settings: Settings, listener: socket.socket) -> None:
    async with running(settings) as system:
        server = _http_server(create_watch_app(system.doors))

        def finish() -> None:
            server.should_exit = True

        _stop_on_signals(system, finish)
        print(f"vai works, with its data in {settings.data_dir} and metrics at {_url(settings, listener)}", flush=True)
        await server.serve(sockets=[listener])


def _log_to_stderr(settings: Settings) -> None:
    configure_logging(
        settings.log_level, settings.log_format, lambda text: masked(text.encode(errors="replace")).decode()
    )


def _listen(host: str, port: int, option: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        advice = f"Stop what uses it, or choose another port with {option}." if taken else "Choose another VAI_HOST."
        raise CannotServe(f"Cannot listen on {host}:{port}: {error.strerror}. {advice}") from error
    return listener


def _http_server(app: Any) -> uvicorn.Server:
    """A server that leaves the signals to us: uvicorn would stop answering first."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    return server


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with running(settings) as system:
        server = _http_server(system.app)

        def finish() -> None:
            # Open streams would keep the server from ending; their listeners resume by event number elsewhere.
            end_streams(system.app)
            server.should_exit = True

        _stop_on_signals(system, finish)
        with _telling_where(settings, listener):
            await server.serve(sockets=[listener])


def _url(settings: Settings, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _telling_where(settings: Settings, listener: socket.socket) -> Iterator[None]:
    """Write down the address for the CLI while we serve, and print it for people."""
    url = _url(settings, listener)
    told, note = settings.data_dir / "server.json", json.dumps({"url": url, "pid": os.getpid()}) + "\n"
    told.write_text(note)
    print(f"vai serves {url} with its data in {settings.data_dir}", flush=True)
    try:
        yield
    finally:
        # Another server on the same folder may have written its own address meanwhile.
        with contextlib.suppress(OSError):
            if told.read_text() == note:
                told.unlink()


def _stop_on_signals(system: System, finish: Callable[[], None]) -> None:
    """The first signal drains the engine, while the API goes on answering, and then finishes; the second hurries."""
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        await system.drain()
        finish()

    def on_signal() -> None:
        if draining:
            system.hurry()
            return
        at_work = system.steps_at_work
        if at_work:
            print(f"waiting for {at_work} running steps; once more to hand them back now", flush=True)
        draining.append(loop.create_task(drain()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
