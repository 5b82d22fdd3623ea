"""The dependency rules of docs/architecture.md, checked on the source itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("core", "plugins", "adapters")
FRAMEWORKS = frozenset(
    {"torch", "tensorflow", "keras", "jax", "flax", "sklearn", "tflite", "openvino", "tensorrt"}
)
# What takes long to import: not needed to start the program or to list what plugins offer.
HEAVY = FRAMEWORKS | {"onnxruntime", "onnx", "onnx_ir", "sympy", "PIL"}
PACKAGES = {
    path.name: folder
    for folder in FOLDERS
    for path in sorted((ROOT / folder).iterdir())
    if path.is_dir() and not path.name.startswith((".", "__"))
}
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
TOP_LEVEL = {
    "CHANGELOG.md", "LICENSE", "README.md", "adapters", "core", "docs", "plugins",
    "pyproject.toml", "tests",
}  # fmt: skip


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = {
    re.split(r"[\[<>=~! ]", requirement)[0]
    for requirement in (*PROJECT["dependencies"], *EXTRAS["images"])
}
NAMES = {
    "PIL": "pillow",
    "google": "protobuf",
    "onnx_ir": "onnx-ir",
    "pydantic_core": "pydantic",
    "yaml": "pyyaml",
}


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[1]


def folder_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def top(names: Iterator[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the module of every import below `node`, however deep."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module


def imports_when_loaded(node: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported together with the one that `node` is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from imports(child)
        else:
            yield from imports_when_loaded(child)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_package_imports_only_itself_and_the_core(path: Path) -> None:
    ours = top(imports(ast.parse(path.read_text()))) & PACKAGES.keys()
    assert ours <= {"onnxpress", package_of(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_adapters_import_a_framework_and_only_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text())
    found = imports_when_loaded(tree) if folder_of(path) == "adapters" else imports(tree)
    assert not top(found) & FRAMEWORKS


def test_only_the_host_knows_pluggy() -> None:
    users = {p.name for p in FILES if "pluggy" in top(imports(ast.parse(p.read_text())))}
    assert users == {"hooks.py", "plugins.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_library_that_is_imported_is_declared(path: Path) -> None:
    libraries = top(imports(ast.parse(path.read_text()))) - sys.stdlib_module_names - set(PACKAGES)
    undeclared = {name for name in libraries if NAMES.get(name, name) not in DECLARED}
    assert not undeclared


def loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return top(iter(run.stderr.split()))


HELP = """
import sys
from onnxpress.cli import main
sys.argv = ["onnxpress", {}"--help"]
try:
    main()
except SystemExit:
    pass
"""
LIGHT = {
    "import onnxpress": "import onnxpress",
    "collecting what plugins offer": "import onnxpress; onnxpress.Plugins.discover().describe()",
    "onnxpress --help": HELP.format(""),
    "onnxpress compress --help": HELP.format('"compress", '),
    "onnxpress prune --help": HELP.format('"prune", '),
}


@pytest.mark.parametrize("what", LIGHT)
def test_what_starts_often_loads_nothing_heavy(what: str) -> None:
    assert not loaded_after(LIGHT[what]) & HEAVY


def test_importing_onnxpress_loads_no_other_package() -> None:
    other = loaded_after("import onnxpress") - loaded_after("") - sys.stdlib_module_names
    assert other == {"onnxpress"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed_and_every_plugin_has_an_entry_point(package: str) -> None:
    declared = top(e.value for e in entry_points(group="onnxpress"))
    assert (ROOT / PACKAGES[package] / package / "py.typed").is_file()
    assert package == "onnxpress" or package in declared


def test_the_top_level_holds_only_what_belongs_there() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tracked.returncode:
        pytest.skip("not a git checkout, so there may be anything here")
    entries = {line.partition("/")[0] for line in tracked.stdout.splitlines()}
    assert {e for e in entries if not e.startswith(".")} == TOP_LEVEL
