"""Where the server is and which key it takes: given, from the environment, or written by the server here."""

import ipaddress
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from vai.cli.exits import UNREACHABLE, Failure, usage

_DEFAULT_URL = "http://127.0.0.1:8000"


class Connection(NamedTuple):
    """An address and a key, each with where it comes from, for messages. The key itself is never shown."""

    url: str
    url_from: str
    key: str
    key_from: str

    @property
    def is_local(self) -> bool:
        """True when the server is on this machine."""
        return _is_loopback(self.url)


def data_dir() -> Path:
    """The data folder of the server on this machine."""
    return Path(os.environ.get("VAI_DATA_DIR") or ".vai")


def find_connection(api_url: str | None) -> Connection:
    """The server to talk to, and the key for it. Refuses when there is no key or the address is no address."""
    url, url_from = _find_url(api_url)
    key, key_from = _find_key(url)
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # Said here, because what the HTTP library would say of it shows the key.
        raise Failure(f"What {key_from} holds is not an API key.", UNREACHABLE)
    return Connection(url, url_from, key, key_from)


def _find_url(api_url: str | None) -> tuple[str, str]:
    for url, source in ((api_url, "--api-url"), (os.environ.get("VAI_API_URL"), "VAI_API_URL")):
        if url:
            return _checked(url, source), source
    written = _written_url()
    if written is not None:
        return written, str(data_dir() / "server.json")
    return _DEFAULT_URL, "the default address"


def _checked(url: str, source: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        usage(f"{source} must be an address like http://127.0.0.1:8000, not {url!r}.")
    return url.rstrip("/").removesuffix("/api/v1")


def _written_url() -> str | None:
    """The address that the server of the data folder wrote down when it started."""
    try:
        written = msgspec.json.decode((data_dir() / "server.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    url = written.get("url") if isinstance(written, dict) else None
    return url if isinstance(url, str) else None


def _find_key(url: str) -> tuple[str, str]:
    given = os.environ.get("VAI_API_KEY", "").strip()
    if given:
        return given, "VAI_API_KEY"
    # The key of the server on this machine is not for any other: it never leaves towards an address elsewhere.
    if not _is_loopback(url) and url != _written_url():
        raise Failure(f"There is no API key for {url}: set VAI_API_KEY.", UNREACHABLE)
    path = data_dir() / "admin.key"
    try:
        return path.read_text().strip(), str(path)
    except FileNotFoundError:
        raise Failure(
            f"There is no API key: neither VAI_API_KEY is set, nor is there a file {path}.\n"
            "Start a server here with 'vai serve', or set VAI_DATA_DIR to the data folder of the one that runs.",
            UNREACHABLE,
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"The API key in {path} cannot be read: {error}. Set VAI_API_KEY.", UNREACHABLE) from None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
