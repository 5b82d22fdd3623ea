"""Real distributions, built and installed: one good, the others each broken in its own way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GOOD = """
from typing import ClassVar

import onnxpress


class {name}(onnxpress.Transform):
    \"\"\"Name the graph loudly.\"\"\"

    name: ClassVar[str] = "{step}"
    times: int = 1

    def apply(self, model, job):
        edit = model.edit()
        edit.graph.name = edit.graph.name + "!" * self.times
        job.change("graph", times=self.times)
        return edit.done()


@onnxpress.hookimpl
def onnxpress_transforms():
    return [{name}]
"""


def good(step: str) -> str:
    return GOOD.format(name=step.title(), step=step)


# For every distribution: the name of its plugin, what the entry point says after the
# module, its code, and the cause that users read.
BAD = {
    "missing": (
        "needy", "", "import no_such_package_anywhere",
        "import: ModuleNotFoundError: No module named 'no_such_package_anywhere'",
    ),
    "exits": ("quitter", "", "import sys\nsys.exit(3)", "import: SystemExit: 3"),
    "syntax": (
        "sloppy", "", "def broken(:\n    pass",
        "import: SyntaxError: invalid syntax (syntax.py, line 1)",
    ),
    "attribute": (
        "absent", ":plugin", "",
        "import: AttributeError: module 'attribute' has no attribute 'plugin'",
    ),
    "newer": (
        "future", "", "ONNXPRESS_CONTRACT = 99\n" + good("future"),
        "contract: it is written for contract 99; this onnxpress speaks 1: update onnxpress",
    ),
    "misspelt": (
        "typo", "", good("typo").replace("onnxpress_transforms", "onnxpress_transfroms"),
        "contract: it implements 'onnxpress_transfroms', which is no hook; "
        "did you mean 'onnxpress_transforms'",
    ),
    "thief": (
        "pruning", "", good("theft"),
        "contract: the name 'pruning' is taken by plugin 'pruning' (onnxpress 0.1.0)",
    ),
    "untyped": (
        "untyped", "",
        "class Thing: ...\n" + good("untyped").replace("times: int = 1", "times: Thing"),
        "import: PydanticSchemaGenerationError: Unable to generate pydantic-core schema for "
        "<class 'untyped.Thing'>.",
    ),
    "lazy": (
        "lazy", "",
        "from __future__ import annotations\n" + good("lazy").replace("times: int", "times: Thing"),
        "onnxpress_transforms: an option of 'lazy' has the type 'Thing', which is not defined "
        "when the program runs; import it outside of TYPE_CHECKING",
    ),
    "raises": (
        "raises", "", good("raises").replace("return [Raises]", "raise OSError('no disk')"),
        "onnxpress_transforms: OSError: no disk",
    ),
    "shapeless": (
        "shapeless", "::", "",
        "import: the entry point 'shapeless::' is not of the form 'module:object'",
    ),
}  # fmt: skip

BUILD = """
import os, sys
from hatchling.build import build_wheel
for folder in sys.argv[2:]:
    os.chdir(folder)
    build_wheel(sys.argv[1])
"""

PROGRAM = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import onnxpress
    from onnxpress.errors import OnnxpressError
    from onnxpress.testing import model_from_text

    plugins = onnxpress.Plugins.discover()
    described = plugins.describe()
    plugins.describe()
    model = model_from_text("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    louder = plugins.find_transform("shout")(times=3)
    named = plugins.run(louder, model, onnxpress.Job()).ir.graph.name
    try:
        plugins.find_transform("mumble")
    except OnnxpressError as error:
        quoted = str(error)
print(json.dumps({
    "described": described, "named": named, "quoted": quoted,
    "warned": [[w.category.__name__, str(w.message)] for w in caught],
}))
"""


def write(folder: Path, plugin: str, suffix: str, code: str) -> Path:
    """Write a distribution with one module of its own name."""
    folder.mkdir()
    (folder / f"{folder.name}.py").write_text(code)
    (folder / "pyproject.toml").write_text(
        f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "onnxpress-{folder.name}"
version = "1.2"

[project.entry-points.onnxpress]
{plugin} = "{folder.name}{suffix}"

[tool.hatch.build.targets.wheel]
include = ["{folder.name}.py"]
"""
    )
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed all of them."""
    root = tmp_path_factory.mktemp("third-party")
    folders = [write(root / "nice", "nice", "", good("shout"))]
    for name, (plugin, suffix, code, _) in BAD.items():
        folders.append(write(root / name, plugin, suffix, code))
    wheels, target = root / "wheels", root / "site"
    build = [sys.executable, "-c", BUILD, str(wheels), *map(str, folders)]
    subprocess.run(build, check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    found = sorted(map(str, wheels.glob("*.whl")))
    subprocess.run([*pip, "--target", str(target), *found], check=True, capture_output=True)
    return target


def python(program: str, site: Path, **variables: str) -> tuple[Any, str]:
    """Run a program among them; return what it prints, read as JSON, and its messages."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(site), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def run(site: Path, **variables: str) -> dict[str, Any]:
    result, _ = python(PROGRAM, site, **variables)
    assert isinstance(result, dict)
    return result


@pytest.fixture(scope="module")
def result(site: Path) -> dict[str, Any]:
    return run(site)


def test_the_good_one_works_among_them(result: dict[str, Any]) -> None:
    assert result["named"] == "g!!!"
    (nice,) = (d for d in result["described"] if d["name"] == "nice")
    assert (nice["status"], nice["transforms"], nice["version"]) == ("ready", ["shout"], "1.2")


def test_our_own_work_among_them(result: dict[str, Any]) -> None:
    own = [d for d in result["described"] if d["distribution"] == "onnxpress"]
    assert {d["status"] for d in own} == {"ready"}
    assert result["described"][: len(own)] == own


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_is_warned_about_once_with_its_cause(name: str, result: dict[str, Any]) -> None:
    plugin, _, _, cause = BAD[name]
    start = f"plugin {plugin!r} (onnxpress-{name} 1.2) failed at {cause}"
    warned = [text for kind, text in result["warned"] if kind == "PluginWarning"]
    (text,) = (text for text in warned if f"(onnxpress-{name} 1.2)" in text.partition(" failed")[0])
    assert text.startswith(start)
    assert text.endswith(f"; left out (ONNXPRESS_BLOCK=onnxpress-{name} silences this)")


def test_nothing_else_is_warned_about(result: dict[str, Any]) -> None:
    assert len(result["warned"]) == len(BAD)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_is_quoted_when_a_name_is_asked_for_that_it_might_have_had(
    name: str, result: dict[str, Any]
) -> None:
    assert result["quoted"].startswith("there is no step called 'mumble'")
    assert f"(onnxpress-{name} 1.2) failed at {BAD[name][3]}" in result["quoted"]


def test_a_bad_one_is_described_as_failed(result: dict[str, Any]) -> None:
    records = {d["distribution"]: d for d in result["described"]}
    for name in BAD:
        record = records[f"onnxpress-{name}"]
        assert record["failures"]
        # These two were loaded, and then offered nothing that could be used.
        assert record["status"] == ("ready" if name in {"lazy", "raises"} else "failed")


def test_blocking_silences_and_is_told(site: Path) -> None:
    blocked = run(site, ONNXPRESS_BLOCK=",".join(f"onnxpress_{name}" for name in BAD))
    assert blocked["warned"] == []
    assert blocked["named"] == "g!!!"
    statuses = {d["distribution"]: d["status"] for d in blocked["described"]}
    assert {statuses[f"onnxpress-{name}"] for name in BAD} == {"blocked"}
    assert "(onnxpress-thief 1.2) is left out by ONNXPRESS_BLOCK" in blocked["quoted"]


def test_the_command_line_lists_them_and_says_once_what_is_wrong(site: Path) -> None:
    program = "from onnxpress.cli import main; main(['plugins', '--json'])"
    listed, messages = python(program, site)
    assert {f"onnxpress-{name}" for name in BAD} <= {record["distribution"] for record in listed}
    for name in BAD:
        assert messages.count(f"(onnxpress-{name} 1.2) failed at") == 1
