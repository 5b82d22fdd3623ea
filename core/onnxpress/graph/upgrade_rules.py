"""Rules of the table ``upgrade``, for the operators of the ONNX specification.

Steps that only widened an operator (more types, a new attribute whose default is the old
behaviour) need none: `tests/core/graph/test_upgrade.py` runs the operators of ONNX's own
test suite before and after.  Changelog: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from onnxpress.graph.upgrade_site import UPGRADE, Site, flat

_LOWEST: Final = float(np.finfo(np.float32).min)
_HIGHEST: Final = float(np.finfo(np.float32).max)


@UPGRADE("BatchNormalization", since=9)
def _statistics_per_channel_only(site: Site) -> None:
    if site.take("spatial", 1):
        return
    # One statistic per position: y = (x - mean) / √(variance + ε) * scale + bias.
    x, scale, bias, mean, variance = site.inputs
    site.drop_outputs_after(1, "it returns the statistics of training")
    epsilon = site.constant_like(site.take("epsilon", 1e-5), variance, "epsilon")
    deviation = site.insert("Sqrt", site.insert("Add", variance, epsilon))
    factor = site.insert("Div", scale, deviation)
    scaled = site.insert("Mul", site.insert("Sub", x, mean), factor)
    site.take("momentum")
    site.node.op_type = "Add"
    site.set_inputs(scaled, bias)


@UPGRADE("BatchNormalization", since=14)
def _training_by_attribute(site: Site) -> None:
    if len(flat(site.node.outputs)) > 1:  # before, more outputs than one meant training
        site.drop_outputs_after(3, "the statistics it saves for its gradient are read")
        site.set(training_mode=1)


@UPGRADE("Scan", since=9)
def _scan_without_batches(site: Site) -> None:
    site.fail("opset 8's Scan goes over batches too, later ones do not")


@UPGRADE("Upsample", since=9)
def _scales_become_an_input(site: Site) -> None:
    scales = np.array(site.take("scales"), np.float32)
    site.set_inputs(*site.inputs, site.constant(scales, "scales"))


@UPGRADE("Upsample", since=11)  # since 10 it is called Resize, whose present form came with 11
def _upsample_becomes_resize(site: Site) -> None:
    x, scales = site.inputs
    site.node.op_type = "Resize"
    site.set(coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    site.set_inputs(x, None, scales)


@UPGRADE("Resize", since=11)
def _resize_says_how(site: Site) -> None:
    """Before, "nearest" meant the pixel before when enlarging, the one after when shrinking.

    Where an axis may do either, it is enlarged by a first node and shrunk by a second.
    """
    x, scales = site.inputs
    rounding = "floor"
    if site.node.attributes.get_string("mode", "nearest") == "nearest":
        known = site.array(scales)
        if known is None or (known.min() < 1 < known.max()):
            one = site.constant(np.ones(1, np.float32), "one")
            x = site.insert(
                "Resize",
                x,
                None,
                site.insert("Max", scales, one),
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            scales = site.insert("Min", scales, one)
        if known is None or known.min() < 1:
            rounding = "ceil"
    site.set(coordinate_transformation_mode="asymmetric", nearest_mode=rounding)
    site.set_inputs(x, None, scales)


@UPGRADE("Resize", since=13)
def _resize_has_scales_or_sizes(site: Site) -> None:
    x, roi, scales, sizes = (*site.inputs, None, None)[:4]
    known = site.array(scales)
    if sizes is not None and known is not None and known.size == 0:
        site.set_inputs(x, roi, None, sizes)
    if site.node.attributes.get_string("coordinate_transformation_mode") == "tf_half_pixel_for_nn":
        # Its positions are those of half_pixel plus ½; ⌊p + ½⌋ is rounding p.
        if site.node.attributes.get_string("nearest_mode") != "floor":
            site.fail("tf_half_pixel_for_nn with another rounding than floor is gone since 13")
        site.set(coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_ceil")


@UPGRADE("Slice", since=10)
def _slice_by_inputs(site: Site) -> None:
    names = ("starts", "ends", "axes")
    site.set_inputs(*flat([*site.inputs, *(site.take_as_input(name) for name in names)]))


@UPGRADE("TopK", since=10)
def _k_becomes_an_input(site: Site) -> None:
    site.set_inputs(*site.inputs, site.constant(np.array([site.take("k")], np.int64), "k"))


@UPGRADE("Dropout", since=12)
def _ratio_becomes_an_input(site: Site) -> None:
    site.drop_outputs_after(1, "its mask is read, and what that holds changed with opset 12")
    ratio = site.take("ratio")
    if ratio is not None:
        site.set_inputs(*site.inputs, site.constant(np.array(ratio, np.float32), "ratio"))


@UPGRADE("Clip", since=11)
def _bounds_become_inputs(site: Site) -> None:
    (x,) = site.inputs
    low, high = site.take("min", _LOWEST), site.take("max", _HIGHEST)
    bounds = (
        site.constant_like(low, x, "min") if low > _LOWEST else None,
        site.constant_like(high, x, "max") if high < _HIGHEST else None,
    )
    site.set_inputs(*flat([x, *bounds]))


@UPGRADE("Pad", since=11)
def _pads_become_an_input(site: Site) -> None:
    (x,) = site.inputs
    value = site.take("value", 0.0)
    filled = site.constant_like(value, x, "value") if value else None
    site.set_inputs(*flat([x, site.take_as_input("pads"), filled]))


@UPGRADE("Scatter", since=11)
def _scatter_has_a_new_name(site: Site) -> None:
    site.node.op_type = "ScatterElements"


@UPGRADE("Softmax", "LogSoftmax", "Hardmax", since=13)
def _one_axis_instead_of_all_from_it(site: Site) -> None:
    (x,) = site.inputs
    axis = site.take("axis", 1)
    shape = site.type_of(x).shape
    if shape is not None:
        axis = range(len(shape))[axis]
        if all(size == 1 for size in shape[axis + 1 :]):
            site.set(axis=axis)
            return
    rows = site.insert("Flatten", x, axis=axis)
    result = site.insert(site.node.op_type, rows, axis=-1)
    site.node.op_type = "Reshape"
    site.set_inputs(result, site.insert("Shape", x))


@UPGRADE("Split", since=13)
def _split_becomes_an_input(site: Site) -> None:
    site.set_inputs(*flat([*site.inputs, site.take_as_input("split")]))


@UPGRADE("Split", since=18)
def _split_says_into_how_many(site: Site) -> None:
    if len(site.inputs) == 1:
        site.set(num_outputs=len(site.node.outputs))


@UPGRADE("Squeeze", "Unsqueeze", "ReduceSum", since=13)
@UPGRADE(
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
    since=18,
)
def _axes_become_an_input(site: Site) -> None:
    axes = site.take_as_input("axes")
    if axes is not None:
        site.set_inputs(*site.inputs, axes)


@UPGRADE("RoiAlign", since=16)
def _positions_count_from_corners(site: Site) -> None:
    site.set(coordinate_transformation_mode="output_half_pixel")


@UPGRADE("GridSample", since=20)
def _modes_for_any_rank(site: Site) -> None:
    mode = site.take("mode", "bilinear")
    site.set(mode={"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode))


@UPGRADE("DFT", since=20)
def _axis_becomes_an_input(site: Site) -> None:
    x, length = (*site.inputs, None)[:2]
    site.set_inputs(x, length, site.constant(np.array(site.take("axis", 1), np.int64), "axis"))


@UPGRADE("GroupNormalization", since=21)
def _one_factor_per_channel(site: Site) -> None:
    """Repeat each group's scale and bias for every channel of the group."""
    x, *factors = site.inputs
    groups = np.array([[site.node.attributes.get_int("num_groups")]])
    channels = site.insert("Shape", x, start=1, end=2)
    each = site.insert("Div", channels, site.constant(groups[0], "groups"))
    shape = site.insert("Concat", site.constant(groups[0], "rows"), each, axis=0)
    column, row = site.constant(np.array([-1, 1]), "column"), site.constant(np.array([-1]), "row")
    site.set_inputs(
        x,
        *(
            site.insert(
                "Reshape", site.insert("Expand", site.insert("Reshape", f, column), shape), row
            )
            for f in factors
        ),
    )
