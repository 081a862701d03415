"""Whether an SFTP server is the one that is meant."""

from typing import Any

import paramiko

from vai.ports import ActionFailed


class Pinned(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Takes the server that has this key, written as in a known_hosts file: `ssh-ed25519 AAAA…`."""

    def __init__(self, key: str) -> None:
        self._key = key.split()[:2]

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        """Raises ActionFailed `unknown_host` for another one."""
        if [key.get_name(), key.get_base64()] != self._key:
            raise ActionFailed("unknown_host", "The SFTP server has another key than the connection's hostKey.")
