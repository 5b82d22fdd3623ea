from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from onnxpress.measure import cpus
from onnxpress.measure.environment import environment


def test_environment_is_json_and_names_versions_and_cpu() -> None:
    found = json.loads(json.dumps(environment()))
    assert found["versions"]["onnxruntime"] == version("onnxruntime")
    assert found["versions"]["onnxpress"] == version("onnxpress")
    assert found["cpu"]["name"]
    assert found["cpu"]["cores"]["usable"] == len(cpus.usable_cpus())
    assert found["memory_mb"] > 100
    assert found["execution_provider"] == "CPUExecutionProvider"


def test_environment_imports_nothing_heavy() -> None:
    ask = (
        "import sys; from onnxpress.measure.environment import environment; environment(); "
        "print([m for m in ('onnx', 'onnx_ir', 'onnxruntime', 'numpy') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("info", "name", "features"),
    [
        (
            "processor : 0\nmodel name : Fast CPU\nflags : fpu avx2 avx512f avx512_vnni amx_int8\n"
            "\nprocessor : 1\nmodel name : Other\n",
            "Fast CPU",
            ("AVX2", "AVX-512", "AVX-512 VNNI", "AMX-INT8"),
        ),
        (
            "processor : 0\nFeatures : fp asimd asimddp i8mm bf16\nCPU implementer : 0x41\n"
            "CPU part : 0xd40\n",
            f"{os.uname().machine}, implementer 0x41, part 0xd40",
            ("NEON", "DOTPROD", "I8MM", "BF16"),
        ),
    ],
)
def test_cpu_features_are_read_on_x86_and_arm(
    monkeypatch: pytest.MonkeyPatch, info: str, name: str, features: tuple[str, ...]
) -> None:
    monkeypatch.setattr(cpus, "_read", lambda _path: info)
    assert cpus.cpu_name() == name
    assert cpus.cpu_features() == features


def _system(monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpu_count: int = 8) -> None:
    monkeypatch.setattr(cpus, "_read", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(cpus, "usable_cpus", lambda: tuple(range(cpu_count)))


def test_siblings_of_a_core_count_once_and_fast_cores_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = "/sys/devices/system/cpu/cpu"
    files = {f"{cpu}{i}/topology/thread_siblings_list": f"{i % 4},{i % 4 + 4}" for i in range(8)}
    files |= {f"{cpu}{i}/cpufreq/cpuinfo_max_freq": "5000" if i < 2 else "3000" for i in range(8)}
    _system(monkeypatch, files)
    assert cpus.one_per_core(range(8)) == (1, 0, 3, 2)
    assert cpus.default_threads() == 4
    assert cpus.choose_cpus(1) == (1,)
    assert cpus.choose_cpus(4) == (0, 1, 2, 3)
    assert cpus.choose_cpus(5) == (0, 1, 2, 3, 4)
    assert cpus.choose_cpus(9) == ()


@pytest.mark.parametrize(
    ("files", "quota", "threads"),
    [
        ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5, 2),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, None, 8),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000"}, 3.0, 3),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, None, 8),
        ({}, None, 8),
    ],
)
def test_a_quota_bounds_the_threads(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], quota: float | None, threads: int
) -> None:
    _system(monkeypatch, files)
    assert cpus.cpu_quota() == quota
    assert cpus.default_threads() == threads
