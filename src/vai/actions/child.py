"""A child process that does one action: `python -m vai.actions.child FD`. The request comes on standard input,
messages go out on FD, and when standard input ends, the parent is gone and so is the child."""

import ctypes
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from typing import Any

import msgspec

from vai.actions.child_context import ChildContext
from vai.actions.messages import MAX_MESSAGE_BYTES, Done, Failed, Log, Message, Reply, Request, Stopped
from vai.ports import ActionFailed, ActionStopped, Branch, Sleep

PR_SET_PDEATHSIG = 1


class Channel:
    """The way out for messages; any thread may send."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def send(self, message: Message) -> None:
        """Write it whole."""
        line = self._encode(message) + b"\n"
        if len(line) > MAX_MESSAGE_BYTES:
            sentence = f"The result is larger than {MAX_MESSAGE_BYTES >> 20} MiB."
            line = self._encode(Failed("result_too_large", sentence)) + b"\n"
        with self._lock:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def end(self, message: Message) -> None:
        """Say the last word and be gone, without waiting for any thread that is left."""
        self.send(message)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class ChannelHandler(logging.Handler):
    """Sends log lines to the parent."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        self._channel.send(Log(record.levelno, text))


def main() -> None:
    """Do the one action, tell the outcome, end."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    _die_with_parent()
    channel = Channel(descriptor)
    # Processes that the action starts must neither read the parent's line nor keep it open.
    control = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    request = msgspec.json.decode(control.readline(), type=Request)
    # Where programs and libraries look for the trace that they belong to.
    os.environ["TRACEPARENT"] = request.traceparent
    logger = logging.Logger("action")
    logger.addHandler(ChannelHandler(channel))
    context = ChildContext(request, channel.send, logger)
    threading.Thread(target=_listen, args=(control, context), daemon=True).start()
    _listen_for_stop(context)
    channel.end(_do(request, context))


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _listen(control: Any, context: ChildContext) -> None:
    """Hear what the parent answers. When it is gone nobody may go on writing in its name: neither this process nor
    what it started."""
    for line in control:
        context.answered(msgspec.json.decode(line, type=Reply))
    os.killpg(0, signal.SIGKILL)


def _listen_for_stop(context: ChildContext) -> None:
    """SIGTERM asks to stop. A thread hears it, since the main one may be inside a long call of a library."""
    heard, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)

    def listen() -> None:
        while numbers := os.read(heard, 16):
            if signal.SIGTERM in numbers:
                context.stop()

    threading.Thread(target=listen, daemon=True).start()


def _do(request: Request, context: ChildContext) -> Message:
    try:
        module, _, function = request.work.partition(":")
        value = getattr(importlib.import_module(module), function)(request.definition, context)
    except ActionStopped:
        return Stopped()
    except ActionFailed as failure:
        error = failure.error
        return Failed(error.type, error.message, error.retryable, error.details, failure.retry_after_seconds)
    except Exception as error:
        if context.cancelled:
            return Stopped()
        context.logger.error("%s", traceback.format_exc().rstrip())
        return Failed(type(error).__name__, str(error) or type(error).__name__)
    if isinstance(value, Sleep):
        return Done([value.until, value.result], "sleep")
    if isinstance(value, Branch):
        return Done([value.result, value.skips], "branch")
    return Done(value)


if __name__ == "__main__":
    main()
