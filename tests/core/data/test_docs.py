"""Every example of docs/data.md runs and prints what the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

PAGE = Path(__file__).parents[3] / "docs/data.md"
MODEL = """
<ir_version: 10, opset_import: ["": 21]>
digits (float[N, 1, 8, 8] image) => (float[N, 10] scores)
{
    flat = Flatten(image)
    scores = MatMul(flat, weight)
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    proto = onnx.parser.parse_model(MODEL)
    weight = onnx.numpy_helper.from_array(np.zeros((64, 10), np.float32), "weight")
    proto.graph.initializer.append(weight)
    onnx.save(proto, "digits.onnx")
    pixels = np.full((300, 8, 8), 255, np.uint8)
    np.savez("digits.npz", x=pixels, y=np.arange(300) % 10)
    np.savez("split.npz", x_train=pixels[:30], x_test=pixels[:20])
    np.save("pixels.npy", pixels)
    Path("my_data.py").write_text(
        "import numpy as np\ndef train(): return np.zeros((300, 8, 8), np.uint8)\n"
    )
    for name, count in (("cat", 3), ("dog", 2)):
        Path("photos", name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (12, 10)).save(f"photos/{name}/{i}.png")


def test_every_example_prints_what_the_page_says(folder: None) -> None:
    blocks = re.findall(r"```pycon\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    page = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(page, out=said.append)
    assert result.attempted > 30
    assert not result.failed, "".join(said)
