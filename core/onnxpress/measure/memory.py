"""How much memory a process uses, in MB (10⁶ bytes), as the operating system counts it."""

from __future__ import annotations

import math
import sys
from pathlib import Path

_KIB = 1024
_MB = 1e6


def peak_memory_mb() -> float:
    """Return the most memory that this process ever held, NaN where nothing tells (Windows).

    Linux says it in ``VmHWM``, which begins anew with a program.  ``ru_maxrss``
    does not: after an exec it still holds the peak of the process that started us,
    so it stands in only where there is no ``/proc``.
    """
    return _status("VmHWM") or _ru_maxrss()


def memory_mb() -> float:
    """Return the memory that this process holds now (its peak where there is no ``/proc``)."""
    return _status("VmRSS") or _ru_maxrss()


def _status(field: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    kib = next(found, None)
    return None if kib is None else int(kib) * _KIB / _MB


def _ru_maxrss() -> float:
    if sys.platform == "win32":
        return math.nan
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else _KIB) / _MB  # bytes there, KiB elsewhere
