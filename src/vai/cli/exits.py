"""Exit codes, and the one exception that carries a sentence and an exit code to the top."""

from typing import NoReturn

COMPLETED = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
CANCELLED = 130
PIPE_CLOSED = 141  # as for any program that writes into a pipe nobody reads

OF_STATUS = {"completed": COMPLETED, "failed": FAILED, "cancelled": CANCELLED}
"""The exit code that a final status of a run means."""

EPILOG = "\n".join(
    (
        "Exit codes:",
        "  0  done; for a run that was waited for: completed",
        "  1  the run failed, or the request was refused",
        "  2  wrong usage: arguments, a file or JSON that cannot be read",
        "  3  no server, or it does not accept the API key",
        "130  the run was cancelled, or Ctrl-C was pressed",
        "Where the server is and who you are: VAI_API_URL and VAI_API_KEY, else what the server wrote into its "
        "data folder (VAI_DATA_DIR, else .vai). NO_COLOR=1 turns colours off, VAI_DEBUG=1 shows tracebacks.",
    )
)


class Failure(Exception):
    """What went wrong, in a sentence for people, and the exit code. `more`: further lines, printed as they are."""

    def __init__(self, sentence: str, exit_code: int = FAILED, more: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code
        self.more = more


def usage(sentence: str) -> NoReturn:
    """Refuse the arguments."""
    raise Failure(sentence, USAGE)
