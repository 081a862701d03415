"""dlt's exceptions, many layers deep, as failures with a class and one clear sentence."""

from typing import Any

from vai.ports import ActionFailed

STEPS = {
    "sync": "Connecting to the destination",
    "extract": "Extracting",
    "normalize": "Normalizing",
    "load": "Loading",
}
MAX_CHARACTERS = 1_000
UNREACHABLE = (
    "connection refused",
    "could not connect",
    "could not translate host",
    "name or service not known",
    "connection timed out",
    "server closed the connection",
    "max retries exceeded",
    "no route to host",
    "unable to open database file",
)
DENIED = ("authentication failed", "access denied", "permission denied", "no password supplied", "invalid credentials")


def explained(error: BaseException) -> ActionFailed:
    """The failure that an exception of a pipeline stands for."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, ActionFailed):
            return cause
    step = next((STEPS[step] for cause in chain if (step := getattr(cause, "step", None)) in STEPS), "Extracting")
    root = chain[-1]
    text = (str(root).strip() or type(root).__name__)[:MAX_CHARACTERS]
    if type(root).__name__ == "ConfigFieldMissingException":
        text = text.partition("\n")[0]  # the rest tells of files and variables that are not used here
    error_type, retryable = _classified(chain, text)
    return ActionFailed(error_type, f"{step} failed: {text}", retryable=retryable)


def _chain(error: BaseException | None) -> Any:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or getattr(error, "exception", None) or error.__context__


def _classified(chain: list[BaseException], text: str) -> tuple[str, bool]:
    names = {cls.__name__ for cause in chain for cls in type(cause).__mro__}
    for cause in chain:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return _of_status(status)
    low = text.lower()
    if any(sign in low for sign in DENIED):
        return "authentication_failed", False
    if any(sign in low for sign in UNREACHABLE) or "ConnectionError" in names:
        return "connection_error", True
    if "could not set lock" in low:
        return "database_locked", True
    if "NoSuchTableError" in names or "could not reflect" in low:
        return "table_not_found", False
    if "FileNotFoundError" in names:
        return "file_not_found", False
    if names & {"ImportError", "MissingDependencyException"}:
        return "missing_library", False
    return "extract_failed", False


def _of_status(status: int) -> tuple[str, bool]:
    if status in (401, 403):
        return "authentication_failed", False
    name = "http_429" if status == 429 else f"http_{status // 100}xx"
    return name, status >= 500 or status in (408, 429)
