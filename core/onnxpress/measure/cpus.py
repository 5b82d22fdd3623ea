"""Which processors there are, which of them we may use, and which a measurement should use."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SYSTEM: Final = Path("/sys/devices/system/cpu")
_CGROUP: Final = Path("/sys/fs/cgroup")

# What a CPU may have that makes inference faster: our name, and how Linux and macOS call it.
_FEATURES: Final = {
    "AVX2": ("avx2",),
    "FMA": ("fma",),
    "F16C": ("f16c",),
    "AVX-512": ("avx512f",),
    "AVX-512 VNNI": ("avx512_vnni",),
    "AVX-512 BF16": ("avx512_bf16",),
    "AVX-512 FP16": ("avx512_fp16",),
    "AVX-VNNI": ("avx_vnni",),
    "AMX-INT8": ("amx_int8",),
    "AMX-BF16": ("amx_bf16",),
    "NEON": ("asimd", "neon", "hw.optional.neon", "hw.optional.arm.AdvSIMD"),
    "FP16": ("asimdhp", "hw.optional.arm.FEAT_FP16"),
    "DOTPROD": ("asimddp", "hw.optional.arm.FEAT_DotProd"),
    "I8MM": ("i8mm", "hw.optional.arm.FEAT_I8MM"),
    "BF16": ("bf16", "hw.optional.arm.FEAT_BF16"),
    "SVE": ("sve",),
    "SVE2": ("sve2",),
    "SME": ("sme", "hw.optional.arm.FEAT_SME"),
}


def usable_cpus() -> tuple[int, ...]:
    """Return the logical CPUs that this process may run on, in ascending order."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def one_per_core(cpus: Sequence[int]) -> tuple[int, ...]:
    """Keep one logical CPU of each physical core, best first.

    Best is the highest clock, where cores differ (so that one thread does not land on
    an efficiency core), then the highest number, because interrupts favour CPU 0.
    """
    cores: dict[str, int] = {}
    for cpu in cpus:
        siblings = _read(_SYSTEM / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu)
        cores.setdefault(siblings, cpu)
    return tuple(sorted(cores.values(), key=lambda cpu: (-_max_clock(cpu), -cpu)))


def default_threads() -> int:
    """Return the physical cores that this process may use, as far as its quota of time goes."""
    cores = len(one_per_core(usable_cpus()))
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def choose_cpus(threads: int) -> tuple[int, ...]:
    """Return the CPUs to pin `threads` threads to: whole cores first, then their siblings.

    Empty if there are fewer CPUs than threads, or this system can't pin: the threads
    are then left to the scheduler.
    """
    if not hasattr(os, "sched_setaffinity"):
        return ()
    usable = usable_cpus()
    first = one_per_core(usable)
    ordered = [*first, *(cpu for cpu in usable if cpu not in first)]
    return tuple(sorted(ordered[:threads])) if threads <= len(ordered) else ()


def cpu_quota() -> float | None:
    """Return how many CPUs' worth of time the control group allows, None if unlimited."""
    if text := _read(_CGROUP / "cpu.max"):  # version 2: "200000 100000" or "max 100000"
        quota, period = text.split()
    else:
        quota = _read(_CGROUP / "cpu/cpu.cfs_quota_us") or "-1"
        period = _read(_CGROUP / "cpu/cpu.cfs_period_us") or "100000"
    return None if quota in {"max", "-1"} else int(quota) / int(period)


def cpu_name() -> str:
    """Return what the CPU calls itself."""
    info = _cpuinfo()
    if name := info.get("model name"):
        return name
    if part := info.get("CPU part"):  # Arm says numbers only
        return f"{platform.machine()}, implementer {info.get('CPU implementer')}, part {part}"
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def cpu_features() -> tuple[str, ...]:
    """Return the instruction sets that matter for inference; empty where nothing tells."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    if platform.system() == "Darwin":
        names = [n for names in _FEATURES.values() for n in names if n.startswith("hw.")]
        flags = {name for name in names if _sysctl(name) == "1"}
    return tuple(ours for ours, theirs in _FEATURES.items() if flags & set(theirs))


def clock_governor() -> str | None:
    """Return the frequency governor (``performance``, ``powersave`` …), None if hidden."""
    return _read(_SYSTEM / "cpu0/cpufreq/scaling_governor") or None


def turbo() -> bool | None:
    """Say whether the clock may rise above its nominal rate, None if hidden."""
    if text := _read(_SYSTEM / "intel_pstate/no_turbo"):
        return text == "0"
    text = _read(_SYSTEM / "cpufreq/boost")
    return text == "1" if text else None


def _max_clock(cpu: int) -> int:
    return int(_read(_SYSTEM / f"cpu{cpu}/cpufreq/cpuinfo_max_freq") or 0)


def _cpuinfo() -> dict[str, str]:
    """The first processor's fields; a system without the file has none."""
    text = _read(Path("/proc/cpuinfo"))
    pairs = (line.partition(":") for line in reversed(text.splitlines()))
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _sysctl(name: str) -> str:
    if platform.system() != "Darwin":
        return ""
    command = ["/usr/sbin/sysctl", "-n", name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
