"""The zoo: real architectures, small, with random weights, for the laws of channel pruning.

An entry tells how a network is made and what it is fed; `export.exported` makes the ``.onnx``
file, with PyTorch's answers beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.laws.zoo.audio_and_pairs import AUDIO_AND_PAIRS
from tests.laws.zoo.convolutions import CONVOLUTIONS
from tests.laws.zoo.mobile import MOBILE
from tests.laws.zoo.net import Exporter, Net
from tests.laws.zoo.own import OWN
from tests.laws.zoo.texts import TEXTS
from tests.laws.zoo.vision_transformers import VISION_TRANSFORMERS

ZOO: Final[Mapping[str, Net]] = {
    net.name: net
    for family in (CONVOLUTIONS, MOBILE, VISION_TRANSFORMERS, TEXTS, AUDIO_AND_PAIRS, OWN)
    for net in family
}
"""Every entry by name."""

BY_BOTH: Final = (
    *("resnet50", "se-resnet18", "densenet", "regnet-y", "convnext", "vgg11-bn", "res2net"),
    *("mobilenet-v2", "mobilenet-v3-small", "efficientnet-b0", "ghostnet"),
    *("vit", "swin", "mobilevit", "poolformer"),
    *("bert", "gpt2", "llama", "t5", "whisper"),
    *("shufflenet-v2", "unet-transposed", "yolo", "edsr", "lstm", "bigru"),
)
"""Entries that tests export twice; the second export takes five to ten times as long."""

EXPORTS: Final[tuple[tuple[str, Exporter], ...]] = tuple(
    (net.name, exporter)
    for net in ZOO.values()
    for exporter in (net.exporters if net.name in BY_BOTH else net.exporters[:1])
)
"""Every file that tests take: the name of an entry and the exporter."""
