"""Prune 80 % of a classifier's weights and train what is left, so that it is as good as before.

    python docs/examples/finetune.py MODEL DATA.npz OUT

DATA has the arrays x and y: uint8 images as the model takes them, and their classes.  The
last tenth of them is kept for judging.
"""

from __future__ import annotations

import sys

import numpy as np

import onnxpress


def prune_and_finetune(model: str, data: str, out: str, epochs: int = 10) -> onnxpress.Result:
    """Write the pruned and trained model; return it, and the report."""
    with np.load(data) as arrays:
        x, y = arrays["x"], arrays["y"]
    cut = len(x) * 9 // 10
    how = {"epochs": epochs, "lr": 1e-3, "batch": 32, "augment": ["flip"]}
    result = onnxpress.compress(
        model,
        ["magnitude-pruning:sparsity=0.8,scope=global", {"use": "finetune", "train": how}],
        data={"image": x[:cut], "labels": y[:cut], "scale": 1 / 255},
        validation={"image": x[cut:], "labels": y[cut:], "scale": 1 / 255},
    )
    result.model.save(out)
    return result


if __name__ == "__main__":
    print(prune_and_finetune(sys.argv[1], sys.argv[2], sys.argv[3]).report)
