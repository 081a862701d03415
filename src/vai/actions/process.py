"""Actions in child processes: started here, listened to, asked to stop, and killed when their grace is over."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anyio
import msgspec

from vai.actions.child_protocol import ChildProtocol, LineReader
from vai.actions.masking import masked
from vai.actions.messages import Attach, Done, Failed, Log, Message, Progress, Reply, Request, Stopped
from vai.actions.secrets import scrubber
from vai.actions.stopping import stop_on_cancel
from vai.ports import ActionContext, ActionFailed, ActionStopped, Branch, Connection, Sleep

REAP_SECONDS = 5.0


class Work(msgspec.Struct, frozen=True):
    """What a child is to do. `secrets` are blotted out of all that it says."""

    target: str  # `package.module:function`
    definition: Any
    secrets: frozenset[str] = frozenset()
    grace_seconds: float | None = None  # None: the context's


class Processes:
    """Runs work in child processes, at most `limit` at once (default: as many as there are processors)."""

    def __init__(self, limit: int | None = None) -> None:
        self._slots = anyio.CapacityLimiter(limit or os.cpu_count() or 1)

    async def run(self, work: Work, context: ActionContext) -> Any:
        """The result of the work. Raises ActionFailed, ActionStopped; ActionFailed `process_died` (retryable)
        if the child ended without a word. Cancelled by asyncio, the child is killed and reaped first."""
        if not self._slots.available_tokens:
            context.progress(phase="queued", message="Waits for one of the other processes to end.")
        await stop_on_cancel(self._slots.acquire(), context)
        try:
            return await _Child(work, context).run()
        finally:
            self._slots.release()


class _Child:
    """One child process from its start to its end."""

    def __init__(self, work: Work, context: ActionContext) -> None:
        self._work, self._context = work, context
        self._loop = asyncio.get_running_loop()
        self._scrub = scrubber(work.secrets)
        self._decode = msgspec.json.Decoder(Message).decode
        self._grace = context.grace_seconds if work.grace_seconds is None else work.grace_seconds
        self._outcome: Done | Failed | Stopped | None = None
        self._is_stopping = False
        self._control: Any = None
        self._attaching: set[asyncio.Task[None]] = set()
        self._killer: asyncio.TimerHandle | None = None
        self._protocol = ChildProtocol(self._loop, self._output)
        self._messages = LineReader(self._loop, self._message)

    async def run(self) -> Any:
        try:
            await self._start()
            self._context.on_cancel(self._ask_from_any_thread)
            # What it said last may still be in the pipe when it is gone. Waited for with `wait`, which leaves
            # the futures alone when this task is cancelled.
            await asyncio.wait({self._protocol.ended, self._messages.ended})
        finally:
            if self._killer is not None:
                self._killer.cancel()
            await self._end()
        return self._answer()

    async def _start(self) -> None:
        reading, writing = os.pipe()
        try:
            await self._loop.connect_read_pipe(lambda: self._messages, os.fdopen(reading, "rb", 0))
            transport, _ = await self._loop.subprocess_exec(
                lambda: self._protocol,
                *(sys.executable, "-P", "-u", "-m", "vai.actions.child", str(writing)),
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        self._control = transport.get_pipe_transport(0)
        self._tell(process_request(self._work, self._context, self._grace))

    def _tell(self, message: Any) -> None:
        self._control.write(msgspec.json.encode(message) + b"\n")

    def _message(self, line: bytes) -> None:
        line = self._scrub(line)
        message = self._decode(line)
        match message:
            case Progress(fields):
                self._context.progress(**fields)
            case Log(level, text):
                self._context.logger.log(level, "%s", masked(text.encode()).decode())
            case Attach():
                task = self._loop.create_task(self._attach(message))
                self._attaching.add(task)
                task.add_done_callback(self._attaching.discard)
            case Failed():
                self._outcome = self._decode(masked(line))
            case _:
                self._outcome = message

    async def _attach(self, asked: Attach) -> None:
        def attach() -> dict[str, Any]:
            return self._context.attach(Path(asked.path), name=asked.name, media_type=asked.media_type)

        try:
            reply = Reply(asked.number, await asyncio.to_thread(attach))
        except ActionFailed as failure:
            error = failure.error
            reply = Reply(asked.number, failed=Failed(error.type, error.message, error.retryable))
        except Exception as error:
            reply = Reply(asked.number, failed=Failed("attach_failed", f"{type(error).__name__}: {error}"))
        if self._protocol.is_running:
            self._tell(reply)

    def _output(self, level: int, line: bytes) -> str:
        text = masked(self._scrub(line)).decode(errors="replace").rstrip()
        if text:
            self._context.logger.log(level, "%s", text)
        return text

    def _ask_from_any_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        """Ask it to stop, and see to it that it does."""
        if self._protocol.is_running:  # the request may come when the child is already gone
            self._is_stopping = True
            self._protocol.signal_group(signal.SIGTERM)
            kill: Callable[[int], None] = self._protocol.signal_group
            self._killer = self._loop.call_later(self._grace, kill, signal.SIGKILL)

    async def _end(self) -> None:
        """Leave nothing running and nothing unreaped, also when the await was cancelled."""
        if self._protocol.is_running:
            self._protocol.signal_group(signal.SIGKILL)
            await asyncio.wait({self._protocol.ended}, timeout=REAP_SECONDS)
        self._protocol.close()
        self._messages.close()

    def _answer(self) -> Any:
        match self._outcome:
            case Done(value, "sleep"):
                return Sleep(*value)
            case Done([result, skips], "branch"):
                return Branch(result, tuple(skips))
            case Done(value):
                return value
            case Failed() as failed:
                raise ActionFailed(
                    failed.type,
                    failed.message,
                    retryable=failed.retryable,
                    details=failed.details,
                    retry_after_seconds=failed.retry_after_seconds,
                )
            case Stopped():
                raise ActionStopped
        if self._is_stopping:
            raise ActionStopped
        raise _died(self._protocol.returncode, self._protocol.last_lines)


def process_request(work: Work, context: ActionContext, grace_seconds: float) -> Request:
    """What a child is told first."""
    return Request(
        work=work.target,
        definition=work.definition,
        run_id=context.run_id,
        step_key=context.step_key,
        tenant_id=context.tenant_id,
        attempt=context.attempt,
        try_number=context.try_number,
        idempotency_key=context.idempotency_key,
        grace_seconds=grace_seconds,
        traceparent=context.traceparent,
        connections=[(ref, _fields(connection)) for ref, connection in context.connections],
    )


def _fields(connection: Connection) -> dict[str, Any]:
    return {name: getattr(connection, name) for name in Connection.__slots__}


def _died(returncode: int | None, lines: Iterable[str]) -> ActionFailed:
    code = returncode or 0
    name = signal.Signals(-code).name if code < 0 else None
    how = f"was ended by {name}" if name else f"ended with exit code {code}"
    hint = " It may have used too much memory." if name == "SIGKILL" else ""
    details = {"exitCode": code if code >= 0 else None, "signal": name, "lastLines": list(lines)}
    return ActionFailed(
        "process_died",
        f"The child process of the action {how} before it answered.{hint}",
        retryable=True,
        details=details,
    )
