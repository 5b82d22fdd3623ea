"""What a figure was measured on: versions, CPU, memory, and what else went on there."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from onnxpress.measure import cpus

_RUNTIMES: Final = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
)


def environment() -> dict[str, Any]:
    """Describe this machine and these packages, for reports; nothing heavy is imported.

    Returns:
        JSON-ready: ``versions`` (by package; None if absent), ``os``, ``cpu`` (``name``,
        ``features``, ``cores``, ``governor``, ``turbo``), ``memory_mb``,
        ``execution_provider`` (what core itself runs models on), ``container``,
        ``virtual_machine`` (both None where nothing tells), ``load_average`` (of the
        last minute).  What a system does not say is None.
    """
    return {
        "versions": _versions(),
        "os": platform.platform(terse=True),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "memory_mb": _memory_mb(),
        "execution_provider": "CPUExecutionProvider",
        "container": _container(),
        "virtual_machine": _virtual(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _versions() -> dict[str, str | None]:
    onnxruntime = next((v for name in _RUNTIMES if (v := _version(name))), None)
    return {
        "onnxpress": _version("onnxpress"),
        "python": platform.python_version(),
        "onnx": _version("onnx"),
        "onnxruntime": onnxruntime,
        "numpy": _version("numpy"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> dict[str, Any]:
    usable = cpus.usable_cpus()
    return {
        "name": cpus.cpu_name(),
        "features": list(cpus.cpu_features()),
        "cores": {
            "logical": os.cpu_count(),
            "usable": len(usable),
            "usable_physical": len(cpus.one_per_core(usable)),
            "quota": cpus.cpu_quota(),
        },
        "governor": cpus.clock_governor(),
        "turbo": cpus.turbo(),
    }


def _memory_mb() -> int | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6)
    except (AttributeError, ValueError, OSError):
        return None


def _container() -> bool | None:
    if platform.system() != "Linux":
        return None
    marks = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
    return any(Path(mark).exists() for mark in marks)


def _virtual() -> bool | None:
    try:
        return "hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
