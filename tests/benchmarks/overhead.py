"""What the harness adds to the time of one inference.

    python tests/benchmarks/overhead.py MODEL [--threads 1]

Three figures: what the stopwatch takes around a function that does nothing; what the
`cpu` runtime adds to ONNX Runtime's own `run`; and what both come to at 1 ms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from onnxpress import Model
from onnxpress.data.random import random_feeds
from onnxpress.measure.stopwatch import time_runs
from onnxpress_runtimes.cpu import Cpu

_BLOCKS = 40
_RUNS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    loaded = Cpu().prepare(asked.model, asked.threads)
    feeds = random_feeds(Model.load(asked.model))
    session = loaded._session  # type: ignore[attr-defined]
    names = [output.name for output in session.get_outputs()]

    empty = min(_per_run(lambda: time_runs(lambda: None, 10_000), 10_000) for _ in range(5))
    bare, ours = [], []
    for _ in range(_BLOCKS):  # taking turns, so that drift hits both
        bare.append(_per_run(lambda: [session.run(names, feeds) for _ in range(_RUNS)], _RUNS))
        ours.append(_per_run(lambda: time_runs(lambda: loaded(feeds), _RUNS), _RUNS))
    added = float(np.median(np.subtract(ours, bare)))
    print(f"stopwatch around nothing   {empty * 1e6:8.2f} µs a run")
    print(f"session.run, bare loop     {np.median(bare) * 1e6:8.2f} µs a run")
    print(f"all of the harness adds    {added * 1e6:8.2f} µs a run")
    print(f"that is at 1 ms            {max(added, empty) / 1e-3:8.2%}")


def _per_run(action: Callable[[], object], runs: int) -> float:
    start = perf_counter()
    action()
    return (perf_counter() - start) / runs


if __name__ == "__main__":
    main()
