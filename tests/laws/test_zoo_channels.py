"""The law of channels over the zoo: what is zero in all its slices leaves no trace.

The channels of 70 % of every group are set to zero; then 10, 30, 50 and 70 % of all channels are
cut, each time some of those.  Every model that is left passes the checker, and answers the same.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pytest

from onnxpress.channels import Channels, find_channels
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.channels.noise import noise
from tests.core.channels.zeroing import Removed, difference, drawn, zeroed
from tests.laws.test_zoo import made, over_the_zoo
from tests.laws.zoo.export import Exported
from tests.laws.zoo.net import Exporter

SHARES: Final = (0.1, 0.3, 0.5, 0.7)
INEXACT: Final = {
    "mlp-mixer": "the bias of its mixing over tokens reaches every channel before the next norm",
}
"""Networks whose answers change a little, and why; they still run."""


@pytest.mark.slow
@over_the_zoo
@pytest.mark.parametrize("split", ["channels", "heads"])
def test_what_is_zero_leaves_no_trace(
    name: str, exporter: Exporter, split: Literal["channels", "heads"]
) -> None:
    file = made(name, exporter)
    channels = find_channels(Model.load(file.path), split=split)
    if split == "heads" and not any(group.heads for group in channels.groups):
        pytest.skip(f"{name} has no heads")
    assert channels.groups
    most = drawn(channels, SHARES[-1])
    whole = zeroed(channels, most)
    again = find_channels(whole, split=split)
    assert [(g.name, g.size) for g in again.groups] == [(g.name, g.size) for g in channels.groups]
    allowed = max(1e-4, 10 * noise(whole, file.cases[0].feeds))
    for share in SHARES:
        cut = again.cut(_some(again, most, share))
        cut.check()
        worst = _difference(whole, cut, file)
        assert worst < np.inf
        assert worst <= allowed or name in INEXACT, f"{share:.0%}: {worst:.1e}"


def _some(channels: Channels, most: Removed, share: float) -> Removed:
    """Return a share of all channels, of those that are zero."""
    wanted = drawn(channels, share)
    return {name: gone[: len(wanted[name])] for name, gone in most.items()}


def _difference(whole: Model, cut: Model, file: Exported) -> float:
    given, left = Session(whole), Session(cut)
    return max(
        difference(left.run(case.feeds)[name], array)
        for case in file.cases
        for name, array in given.run(case.feeds).items()
    )
