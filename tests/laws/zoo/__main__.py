"""Export entries of the zoo and compare them with PyTorch, one line for each.

python -m tests.laws.zoo [--exporter torchscript|dynamo] [NAME ...]
"""

from __future__ import annotations

import argparse
import os
from time import perf_counter

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from tests.laws.zoo import ZOO
from tests.laws.zoo.checking import worst_difference
from tests.laws.zoo.export import exported, missing
from tests.laws.zoo.net import BOTH, Exporter, Net


def line(net: Net, exporter: Exporter) -> str:
    """Return what became of one export."""
    if lacking := missing(net):
        return f"not here: {lacking}"
    started = perf_counter()
    try:
        made = exported(net, exporter)
        worst = worst_difference(made)
    except Exception as error:  # noqa: BLE001  # the table tells of it
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    size = made.path.stat().st_size / 1e6
    return f"{worst:8.0e} of the largest value, {size:6.1f} MB, {perf_counter() - started:5.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--exporter", choices=BOTH)
    asked = parser.parse_args()
    for net in [ZOO[name] for name in asked.names or ZOO]:
        for exporter in net.exporters:
            if asked.exporter in {None, exporter}:
                print(f"{net.name:24} {exporter:12} {line(net, exporter)}", flush=True)


if __name__ == "__main__":
    main()
