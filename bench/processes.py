"""What the system tells of processes: CPU time and memory of a tree, and how to end one."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all that descends from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of a process's stat from its state on; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def cpu_seconds(pid: int) -> float:
    """CPU time of the tree so far, with that of children that have ended. Resolution: 10 ms on most systems."""
    return _TICK * sum(sum(map(int, fields[11:15])) for one in tree(pid) if (fields := _stat(one)))


def memory_mb(pid: int) -> float:
    """Memory of the tree in MB: proportional set size, so that shared pages count once."""
    return sum(_pss_kb(one) for one in tree(pid)) / 1024


def _pss_kb(pid: int) -> int:
    for line in _lines(Path(f"/proc/{pid}/smaps_rollup")):
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _lines(path: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from path.read_text().splitlines()


def end(process: subprocess.Popen[bytes], *, number: int = signal.SIGTERM, seconds: float = 10.0) -> None:
    """Ask the process to end, wait, and kill it when it does not."""
    if process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
