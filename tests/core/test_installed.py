"""Which plugins are installed, in which order, and under which names they are blocked."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from onnxpress import installed as module
from onnxpress.errors import PluginError
from onnxpress.installed import Origin, installed, own_first


def test_our_own_come_first_then_by_name_then_by_distribution() -> None:
    origins = [
        Origin("zeta", "onnxpress"),
        Origin("acme", "tools-b"),
        Origin("acme", "tools-a"),
        Origin("aaa", "zzz"),
        Origin("alpha", "onnxpress"),
    ]
    assert [(o.plugin, o.distribution) for o in sorted(origins, key=own_first)] == [
        ("alpha", "onnxpress"),
        ("zeta", "onnxpress"),
        ("aaa", "zzz"),
        ("acme", "tools-a"),
        ("acme", "tools-b"),
    ]


@pytest.mark.parametrize("names", [["acme"], ["Acme_Tools"], ["other", " acme.tools "], ["ACME"]])
def test_a_plugin_is_named_by_itself_or_by_its_distribution(names: list[str]) -> None:
    assert Origin("acme", "acme-tools").named_in(names)


@pytest.mark.parametrize("names", [[], [""], ["acm"], ["tools"]])
def test_other_names_are_not_its_own(names: list[str]) -> None:
    assert not Origin("acme", "acme-tools").named_in(names)
    assert not Origin("acme").named_in(["", " "])


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        (Origin("pruning", "onnxpress"), "pruning"),
        (Origin("pruning", "thief"), "thief"),
        (Origin("pruning"), ""),
    ],
)
def test_blocking_a_plugin_hits_no_other_of_that_name(origin: Origin, key: str) -> None:
    assert origin.block == key


def test_every_entry_point_of_the_group_is_found_with_its_version() -> None:
    found = {entry.origin.plugin: entry.origin for entry in installed()}
    assert found["onnx"] == Origin("onnx", "onnxpress", found["onnx"].version, "onnxpress_onnx")
    assert found["onnx"].version[0].isdigit()
    assert {"pruning", "quantization", "runtimes"} <= found.keys()


def test_an_entry_point_of_another_shape_says_so_when_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint("odd", "no module", group)]

    monkeypatch.setattr(module, "entry_points", entry_points)
    (entry,) = installed()
    assert entry.origin == Origin("odd", module="no module")
    with pytest.raises(PluginError, match="'no module' is not of the form 'module:object'"):
        entry.load()
