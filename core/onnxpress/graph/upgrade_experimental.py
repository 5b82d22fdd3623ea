"""Rules of the table ``upgrade``, for the experiments of ONNX's first days.

These operators never got a specification, or got it later; files of 2017 and 2018 hold
them.  ONNX Runtime still runs them, up to opset 9.  What they mean is taken from there
and from ONNX's changelog: https://github.com/onnx/onnx/blob/main/docs/Changelog.md.
"""

from __future__ import annotations

import numpy as np

from onnxpress.graph.upgrade_site import UPGRADE, Site


@UPGRADE("ImageScaler", since=10)
def _scale_image(site: Site) -> None:
    """Compute x * scale + bias[channel]."""
    (x,) = site.inputs
    bias = np.reshape(site.take("bias"), (-1, 1, 1))
    scaled = site.insert("Mul", x, site.constant_like(site.take("scale", 1.0), x, "scale"))
    site.node.op_type = "Add"
    site.set_inputs(scaled, site.constant_like(bias, x, "bias"))


@UPGRADE("Affine", since=10)
def _affine(site: Site) -> None:
    (x,) = site.inputs
    scaled = site.insert("Mul", x, site.constant_like(site.take("alpha"), x, "alpha"))
    site.node.op_type = "Add"
    site.set_inputs(scaled, site.constant_like(site.take("beta"), x, "beta"))


@UPGRADE("Scale", since=10)
def _scale(site: Site) -> None:
    (x,) = site.inputs
    site.node.op_type = "Mul"
    site.set_inputs(x, site.constant_like(site.take("scale", 1.0), x, "scale"))


@UPGRADE("ScaledTanh", since=10)
def _scaled_tanh(site: Site) -> None:
    _scaled_function(site, "Tanh")


@UPGRADE("ParametricSoftplus", since=10)
def _parametric_softplus(site: Site) -> None:
    _scaled_function(site, "Softplus")


def _scaled_function(site: Site, function: str) -> None:
    """Compute alpha * function(beta * x)."""
    (x,) = site.inputs
    scaled = site.insert("Mul", x, site.constant_like(site.take("beta"), x, "beta"))
    site.node.op_type = "Mul"
    alpha = site.constant_like(site.take("alpha"), x, "alpha")
    site.set_inputs(site.insert(function, scaled), alpha)


@UPGRADE("Crop", since=10)
def _crop(site: Site) -> None:
    """Cut off a border: left, top, right, bottom; or, from left and top, keep `scale`."""
    (x,) = site.inputs
    left, top, right, bottom = site.take("border")
    size = site.take("scale")
    whole = np.iinfo(np.int64).max
    ends = [-bottom or whole, -right or whole] if size is None else [top + size[0], left + size[1]]
    site.node.op_type = "Slice"
    site.set_inputs(
        x,
        site.constant(np.array([top, left]), "starts"),
        site.constant(np.array(ends), "ends"),
        site.constant(np.array([2, 3]), "axes"),
    )


@UPGRADE("DynamicSlice", since=10)
def _dynamic_slice(site: Site) -> None:
    site.node.op_type = "Slice"


@UPGRADE("MeanVarianceNormalization", since=9)
def _normalization_with_axes(site: Site) -> None:
    (x,) = site.inputs
    axes = [0, 1, 2, 3] if site.take("across_channels", 0) else [0, 2, 3]
    if site.take("normalize_variance", 1):
        site.set(axes=axes)
        return
    mean = site.insert("ReduceMean", x, axes=axes)
    site.node.op_type = "Sub"
    site.set_inputs(x, mean)
