"""How often the interval of a model's ratio to itself holds 1, and how wide it is.

    python tests/benchmarks/self_ratio.py MODEL [--repeats 20] [--seconds 3] [--threads 1]

Both are the same file, so the true ratio is 1; at 95 % confidence about one interval in
twenty should miss it.
"""

from __future__ import annotations

import argparse

import numpy as np

from onnxpress import Plugins
from onnxpress.benchmarking import benchmark
from onnxpress_runtimes.cpu import Cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    held, widths = 0, []
    for seed in range(asked.repeats):
        measured = benchmark(
            [asked.model, asked.model],
            [Cpu],
            seconds=asked.seconds,
            threads=asked.threads,
            seed=seed,
            plugins=Plugins(),
        )
        ratio = measured.results[1]["ratio_to_first"]
        low, high = ratio["latency_interval"]
        held += low <= 1 <= high
        widths.append(high - low)
        print(f"{seed:3}: {ratio['latency']:.4f} [{low:.4f}, {high:.4f}]", flush=True)
    print(f"{held} of {asked.repeats} intervals hold 1; median width {np.median(widths):.4f}")


if __name__ == "__main__":
    main()
