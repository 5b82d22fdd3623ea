"""The documentation says what the code says."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from onnx import defs

from onnxpress import CONTRACT, hooks
from tests import tables

DOCS = Path(__file__).resolve().parents[1] / "docs"
HOOKS = [name for name in vars(hooks) if name.startswith("onnxpress_")]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_exact_signature(name: str) -> None:
    signature = str(inspect.signature(getattr(hooks, name))).replace("'", "")
    assert f"### `{name}{signature}`" in (DOCS / "hooks.md").read_text().splitlines()


def test_no_hook_is_documented_that_does_not_exist() -> None:
    headings = (DOCS / "hooks.md").read_text().split("### `onnxpress_")[1:]
    assert [f"onnxpress_{h.partition('(')[0]}" for h in headings] == HOOKS


def test_the_contract_version_is_documented() -> None:
    assert (
        f"`onnxpress.CONTRACT` is a whole number, now {CONTRACT}."
        in (DOCS / "hooks.md").read_text()
    )


@pytest.mark.parametrize(("page", "name"), tables.TABLES)
def test_a_table_says_what_the_code_says(page: str, name: str) -> None:
    if name == "operators" and defs.onnx_opset_version() < tables.OPSET:
        pytest.skip(f"the table is of opset {tables.OPSET}; this onnx knows no such")
    wanted = tables.TABLES[page, name]()
    assert tables.written(page, name) == wanted, "write it anew: python -m tests.tables"
