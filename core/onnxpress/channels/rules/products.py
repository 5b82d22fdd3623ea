"""Channel flow through Einsum: a letter is an axis that all who have it share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.site import Port, Site


@CHANNEL_FLOW("Einsum")
def _einsum(at: Site) -> None:
    equation = at.text("equation", "").replace(" ", "")
    if "." in equation:
        return
    left, arrow, right = equation.partition("->")
    if not arrow:
        right = "".join(c for c in sorted(set(left) - {","}) if left.count(c) == 1)
    terms = [*zip(left.split(","), at.inputs, strict=True), (right, at.output())]
    if any(len(set(letters)) < len(letters) for letters, _ in terms):
        return  # a letter twice in one term takes a diagonal
    first: dict[str, tuple[Port, int]] = {}
    for letters, port in terms:
        for axis, letter in enumerate(letters):
            if port is None:
                continue
            if letter in first:
                at.same(*first[letter], port, axis)
            else:
                first[letter] = port, axis
                at.free(port, axis)
    for letter in right:
        if sum(letter in term for term in left.split(",")) > 1 and letter in first:
            at.mark_heads(*first[letter])
