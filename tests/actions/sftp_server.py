"""A real SFTP server on loopback, by paramiko, that serves one folder."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko

USER, PASSWORD = "ada", "pass-of-ada-8842"


class _SignIn(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


def tried(work: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, with what the system says as a code of SFTP."""

    def answer(*given: Any) -> Any:
        try:
            found = work(*given)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK if found is None else found

    return answer


class _Folder(paramiko.SFTPServerInterface):
    root: Path

    def _real(self, path: str) -> str:
        return str(self.root) + self.canonicalize(path)

    @tried
    def list_folder(self, path: str) -> Any:
        place = self._real(path)
        return [paramiko.SFTPAttributes.from_stat(os.lstat(f"{place}/{name}"), name) for name in os.listdir(place)]

    @tried
    def stat(self, path: str) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.stat(self._real(path)))

    lstat = stat

    @tried
    def open(self, path: str, flags: int, _attributes: Any) -> Any:
        file = os.fdopen(os.open(self._real(path), flags, 0o600), "wb" if flags & os.O_WRONLY else "rb")
        handle: Any = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = file
        handle.stat = lambda: paramiko.SFTPAttributes.from_stat(os.fstat(file.fileno()))
        return handle

    @tried
    def remove(self, path: str) -> None:
        os.remove(self._real(path))

    @tried
    def mkdir(self, path: str, _attributes: Any) -> None:
        os.mkdir(self._real(path))

    @tried
    def posix_rename(self, oldpath: str, newpath: str) -> None:
        os.replace(self._real(oldpath), self._real(newpath))


@contextlib.contextmanager
def sftp(root: Path) -> Iterator[tuple[int, str]]:
    """The port of a server that runs meanwhile, and its key as a known_hosts file has it."""
    key = paramiko.RSAKey.generate(2048)
    folder = type("Folder", (_Folder,), {"root": root})
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                transport = paramiko.Transport(listener.accept()[0])
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, folder)
                transports.append(transport)
                transport.start_server(server=_SignIn())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], f"{key.get_name()} {key.get_base64()}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for transport in transports:
            transport.close()
