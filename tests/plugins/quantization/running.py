"""Quantizing small models, and looking at what ONNX Runtime makes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort

from onnxpress.data.batch import Array
from onnxpress.data.random import random_feeds
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_quantization import LinearQuantization
from tests.core.calibration.data import Arrays

CONVERSIONS: Final = {"QuantizeLinear", "DequantizeLinear"}


def quantized(model: Model, data: Arrays | None = None, **options: Any) -> tuple[Model, Job]:
    """Quantize a model; return the result and the job with what was reported."""
    job = Job(data=data or samples(model))
    result = LinearQuantization(**options).apply(model, job)
    result.check()
    return result, job


def samples(model: Model, batches: int = 3, batch: int = 2) -> Arrays:
    """Return random data for a model of one input."""
    feeds = [random_feeds(model, batch=batch, seed=seed) for seed in range(batches)]
    name = model.inputs[0].name or ""
    return Arrays([feed[name] for feed in feeds], name)


def operators(model: Model) -> list[str]:
    return [node.op_type for node in model.ir.graph]


def optimized(model: Model, folder: Path) -> Counter[str]:
    """Return the operators of the graph that ONNX Runtime really runs.

    On x86 it first turns int8 activations into uint8, and gives up where a tensor is
    read twice; it is told not to, as it does by itself on Arm.
    """
    source, target = folder / "model.onnx", folder / "optimized.onnx"
    model.save(source)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    ort.InferenceSession(str(source), options, ["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(target).graph.node)


def reported(job: Job) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what was changed and what declined, by name."""
    changed = {c.subject: dict(c.details) for c in job.changed}
    return changed, {d.subject: d.reason for d in job.declined}


def noise(expected: Array, found: Array) -> float:
    """Return the power of the difference, relative to that of what was expected."""
    wide = expected.astype(np.float64)
    return float(np.square(found - wide).sum() / np.square(wide).sum())
