"""How long training waits for its batches, in turn with the model and with a thread ahead.

    python tests/benchmarks/feeding.py DATA --model MODEL [--batch 128] [--threads 0]

For every plan of augmentation: what a batch takes to make when nothing else runs; how long
a loop that runs the model on every batch waits for the next one, if it makes it itself and
if a thread makes it ahead; and how long the model takes meanwhile, because the thread takes
processor time from it.  The model runs forward only, which is about a third of a training
step.  Medians over all batches; the three ways take turns, so that drift hits all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from onnxpress import Model
from onnxpress.data import Batch, Epochs, open_data, prefetched
from onnxpress.session import Session

_ROUNDS: Final = 5
_BATCHES: Final = 10
_PLANS: Final = {
    "plain": (),
    "flip, crop": ("flip", "crop:padding=4"),
    "flip, crop, jitter, noise": (
        "flip",
        "crop:padding=4",
        "jitter:brightness=0.1,contrast=0.2,saturation=0.2",
        "noise",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="SPEC of data for the model")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    asked = parser.parse_args()
    model = Model.load(asked.model)
    data = open_data(asked.data, model)
    session = Session(model, threads=asked.threads)

    def run(batch: Batch) -> None:
        session.run(batch.feeds)

    print(f"{'ms a batch':28}{'made alone':>12}{'in turn':>9}{'model':>8}{'ahead':>9}{'model':>8}")
    for name, augment in _PLANS.items():
        epochs = Epochs(data, batch=asked.batch, augment=augment)
        alone, turn, ahead = _measured(epochs, run)
        figures = f"{alone[0]:12.2f}{turn[0]:9.2f}{turn[1]:8.1f}{ahead[0]:9.2f}{ahead[1]:8.1f}"
        print(f"{name:28}{figures}")


def _measured(epochs: Epochs, run: Callable[[Batch], None]) -> list[tuple[float, float]]:
    """Return the median milliseconds waited and run: made alone, in turn, made ahead."""
    taken: list[list[tuple[float, float]]] = [[], [], []]
    for epoch in range(_ROUNDS):
        taken[0] += _loop(epochs.batches(epoch), lambda _: None)
        taken[1] += _loop(epochs.batches(epoch), run)
        ahead = prefetched(epochs.batches(epoch))
        taken[2] += _loop(ahead, run)
        ahead.close()
    return [tuple(np.median(times, axis=0) * 1e3) for times in taken]


def _loop(batches: Iterator[Batch], run: Callable[[Batch], None]) -> list[tuple[float, float]]:
    """Return the seconds waited and run for every batch but the first, which opens files."""
    times = []
    before = perf_counter()
    for batch in islice(batches, _BATCHES):
        given = perf_counter()
        run(batch)
        after = perf_counter()
        times.append((given - before, after - given))
        before = after
    return times[1:]


if __name__ == "__main__":
    main()
