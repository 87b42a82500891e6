"""What the kernel says of processes: CPU time and memory. Linux only."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_MEBI = 1 << 20
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has run to its end: wall and CPU time in seconds, CPU with that of its children."""

    code: int
    wall: float
    cpu: float


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, output: Path) -> Ended:
    """Run a program to its end, its stdout and stderr into the file *output*; a failure is the caller's to judge."""
    with output.open("wb") as file:
        begin = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        return wait(process, begin)


def wait(process: "subprocess.Popen[bytes]", begin: float) -> Ended:
    """Wait for the end of *process*, which was started at *begin* of the monotonic clock."""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(process.returncode, wall, usage.ru_utime + usage.ru_stime)


def cpu_seconds(pid: int) -> float:
    """User and system time of a running process so far, without its children (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mebibytes(pid: int) -> float:
    """Memory that a process has in RAM at the moment, VmRSS."""
    return _status(pid, "VmRSS")


def peak_mebibytes(pid: int) -> float:
    """The most memory that a process had in RAM since its start or `reset_peak`, VmHWM."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Let `peak_mebibytes` begin anew (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / _MEBI
    raise ProcessLookupError(f"process {pid} has ended")
