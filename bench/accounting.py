"""CPU time as the kernel accounts for it (Linux)."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Positions in /proc/PID/stat after the name of the program (proc(5)): utime, stime, and those of reaped children.
_OWN = slice(11, 13)
_WITH_REAPED = slice(11, 15)
_PARENT = 1


def cpu_seconds(pid: int, *, tree: bool = False) -> float:
    """User and system time of a process, all its threads; with `tree`, of its children as well, living and reaped."""
    if not tree:
        return sum(map(int, _stat(pid)[_OWN])) / _TICKS
    children = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    total = sum(map(int, _stat(pid)[_WITH_REAPED])) / _TICKS
    for child in children:
        try:
            if int(_stat(child)[_PARENT]) == pid:
                total += sum(map(int, _stat(child)[_OWN])) / _TICKS
        except FileNotFoundError:
            continue  # it ended meanwhile, and is counted as reaped at the next reading
    return total


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
