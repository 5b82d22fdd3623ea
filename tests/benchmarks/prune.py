"""Channel groups and cutting: onnxpress on the exported files, Torch-Pruning on the modules.

    python -m tests.benchmarks.prune [--large-only] [--rounds 3] [NAME ...]

First, for each network of the zoo: the share of parameters in tensors that get smaller when half
of the channels of every group go, and what is left.  Then the seconds to find the groups and to
score and cut, on a network of the size of ResNet-50.  Torch-Pruning is a peer to compare with,
not a dependency: ``pip install --no-deps torch-pruning``; without it its columns stay empty.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Final

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from tests.benchmarks.prune_contenders import Halved, by_onnxpress, by_torch_pruning
from tests.laws.zoo import ZOO
from tests.laws.zoo.export import exported, missing, seeded
from tests.laws.zoo.net import Net
from tests.laws.zoo.timm_nets import timm_net

LARGE: Final = timm_net("resnet50-full", "resnet50", size=224)
"""25.6 million parameters at 1,000 classes; here with ten."""


def theirs(net: Net) -> Halved:
    """Return what Torch-Pruning makes of a network."""
    if importlib.util.find_spec("torch_pruning") is None:
        return Halved(trouble="not installed")
    return by_torch_pruning(seeded(net), net)


def ours(net: Net, folder: Path | None = None) -> Halved:
    """Return what onnxpress makes of a network's file."""
    return by_onnxpress(exported(net, net.exporters[0], folder).path, net)


def compare(nets: list[Net]) -> None:
    """Print the shares, one network a line, and their means."""
    print(f"{'':24} {'onnxpress':>20} {'Torch-Pruning':>20}")
    print(f"{'network':24} {'in groups':>10} {'left':>9} {'in groups':>10} {'left':>9}")
    rows: list[tuple[Halved, Halved]] = []
    for net in nets:
        if lacking := missing(net):
            print(f"{net.name:24} not here: {lacking}")
            continue
        row = (ours(net), theirs(net))
        rows.append(row)
        why = "; ".join(one.trouble for one in row if one.trouble)
        print(f"{net.name:24} {_cells(row[0])} {_cells(row[1])}  {why}", flush=True)
    for name, column in zip(("onnxpress", "Torch-Pruning"), zip(*rows, strict=True), strict=True):
        valid = [one for one in column if not one.trouble]
        reached = sum(one.reached for one in valid) / len(column)
        print(
            f"{name}: {len(valid)} of {len(column)} valid; mean share in groups {reached:.1%}, "
            f"of the valid ones {mean(one.reached for one in valid or [Halved()]):.1%}"
        )


def time(rounds: int) -> None:
    """Print the seconds on the large network, the median of `rounds` in turn."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [(ours(LARGE, Path(folder)), theirs(LARGE)) for _ in range(rounds)]
    print(f"\n{LARGE.name}: median of {rounds}, seconds")
    for name, column in zip(("onnxpress", "Torch-Pruning"), zip(*runs, strict=True), strict=True):
        grouping, cutting = (median(getattr(r, f) for r in column) for f in ("grouping", "cutting"))
        print(
            f"{name:14} groups {grouping:6.2f}   score and cut {cutting:6.2f}   {_cells(column[0])}"
        )


def _cells(one: Halved) -> str:
    return f"{'-':>10} {'-':>9}" if one.trouble else f"{one.reached:>10.1%} {one.left:>9.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the zoo; all by default")
    parser.add_argument("--large-only", action="store_true", help="only the seconds")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # transformers doubts token ids outside small vocabularies
    if not asked.large_only:
        compare([ZOO[name] for name in asked.names or ZOO])
    time(asked.rounds)


if __name__ == "__main__":
    main()
