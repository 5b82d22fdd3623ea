"""What is computed in integers: which kernels are used, and which tensors get a grid.

Converting between float and integer costs time and accuracy, so cheap operators are
quantized only where that saves conversions between the expensive ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxpress_quantization.steps import Step


@dataclass(frozen=True, slots=True)
class Plan:
    """The integer part of a graph.

    Attributes:
        steps: The kernels in use, in graph order.
        origin: Every tensor that gets a grid, and the tensor whose range it is made
            from: itself, or where its values were moved from.  In graph order.
        makers: The kernel that makes a tensor, for tensors that come from one.
    """

    steps: tuple[Step, ...]
    origin: Mapping[ir.Value, ir.Value]
    makers: Mapping[ir.Value, Step]


def make_plan(graph: ir.Graph, candidates: Sequence[Step]) -> Plan:
    """Choose among the kernels that could be used.

    - ``compute`` is always in integers.
    - ``move`` is where its input is, or its result will be, in integers anyway.
    - ``mix`` is where it stands between integer kernels, or where all it reads comes
      from them and the result leads on to further ones.  So a network's last
      operators, which make scores and boxes, keep float precision.
    """
    return plan_of(_Chooser(graph, candidates).chosen())


def plan_of(steps: Sequence[Step]) -> Plan:
    """Return the plan that uses just these kernels, which are in graph order."""
    makers = {output: step for step in steps for output in step.outputs}
    wanted = {value for step in steps for value in step.inputs.values()}
    origin: dict[ir.Value, ir.Value] = {}
    for step in steps:
        for value in step.inputs.values():
            origin.setdefault(value, value)
        for output in step.outputs:
            if output in wanted or not step.kernel.floats_out:
                moved = step.kernel.role == "move"
                origin[output] = origin[step.inputs[0]] if moved else output
    return Plan(tuple(steps), origin, makers)


class _Chooser:
    """One walk back and one walk forth over the graph."""

    def __init__(self, graph: ir.Graph, candidates: Sequence[Step]) -> None:
        self._candidates = candidates
        self._makers = {output: step for step in candidates for output in step.outputs}
        self._readers: dict[ir.Value, list[Step]] = {}
        for step in candidates:
            for value in step.inputs.values():
                self._readers.setdefault(value, []).append(step)
        self._leading = _leading(graph, candidates)
        self._back: set[Step] = set()  # an integer kernel comes later, by integer ones alone
        self._carried: set[Step] = set()  # the same, by those that only move values
        for step in reversed(candidates):
            self._look_ahead(step)

    def _look_ahead(self, step: Step) -> None:
        readers = [r for output in step.outputs for r in self._readers.get(output, ())]
        computed = any(reader.kernel.role == "compute" for reader in readers)
        if computed or any(reader in self._back for reader in readers):
            self._back.add(step)
        if computed or any(r in self._carried and r.kernel.role == "move" for r in readers):
            self._carried.add(step)

    def chosen(self) -> tuple[Step, ...]:
        chosen: dict[Step, None] = {}
        for step in self._candidates:
            sources = [self._makers.get(value) for value in step.inputs.values()]
            before = [s for s in sources if s is not None and s in chosen]
            if step.inputs and self._fits(step, before, complete=len(before) == len(sources)):
                chosen[step] = None
        return tuple(chosen)

    def _fits(self, step: Step, before: Sequence[Step], *, complete: bool) -> bool:
        between = bool(before) and step in self._back
        settled = bool(before) and not any(s.kernel.floats_out for s in before)
        if step.kernel.role == "compute":
            return True
        if step.kernel.role == "move":
            return settled or between or (step.kernel.keeps_all and step in self._carried)
        return between or (complete and settled and step.node in self._leading)


def _leading(graph: ir.Graph, candidates: Sequence[Step]) -> set[ir.Node]:
    """Return the nodes from which some path, through whatever, leads to heavy work."""
    found: set[ir.Node] = set()
    heavy = {step.node for step in candidates if step.kernel.role == "compute"}
    for node in reversed(graph):
        behind = (user for output in node.outputs for user, _ in output.uses())
        if any(user in heavy or user in found for user in behind):
            found.add(node)
    return found
