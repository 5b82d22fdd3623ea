"""Files, bytes and protobufs that are ONNX already."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from onnxpress.errors import ModelError, UsageError
from onnxpress.testing import check_importer, check_plugin, small_classifier
from onnxpress_onnx import OnnxImporter


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    proto: onnx.ModelProto = ir.to_proto(small_classifier().ir)
    return proto


def test_the_plugin_keeps_the_contract() -> None:
    assert list(check_plugin("onnx").importers) == ["onnx"]


@pytest.mark.parametrize("form", ["path", "text", "upper", "bytes", "proto"])
def test_every_form_is_accepted_and_gives_the_same_model(
    form: str, proto: onnx.ModelProto, tmp_path: Path
) -> None:
    lower, upper = tmp_path / "m.onnx", tmp_path / "M2.ONNX"
    for file in (lower, upper):
        file.write_bytes(proto.SerializeToString())
    sources: dict[str, object] = {
        "path": lower,
        "text": str(lower),
        "upper": upper,
        "bytes": proto.SerializeToString(),
        "proto": proto,
    }
    model = check_importer(OnnxImporter, sources[form])
    assert model.parameters.keys() == small_classifier().parameters.keys()
    assert model.path == (sources[form] if isinstance(sources[form], Path) else model.path)


def test_forced_it_reads_a_file_of_another_name(proto: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(proto.SerializeToString())
    assert not OnnxImporter().accepts(path)
    assert OnnxImporter().load(path).path == path


@pytest.mark.parametrize("source", [b"", b"no protobuf at all", b"\x08\x0a"])
def test_bytes_that_are_no_model_are_a_model_error(source: bytes) -> None:
    with pytest.raises(ModelError):
        OnnxImporter().load(source)


def test_anything_else_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"reads a path, bytes or an onnx\.ModelProto, not"):
        OnnxImporter().load(3)


def test_accepting_imports_nothing() -> None:
    code = (
        "import sys; from onnxpress_onnx import OnnxImporter;"
        "print(OnnxImporter().accepts(object()), 'onnx' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
