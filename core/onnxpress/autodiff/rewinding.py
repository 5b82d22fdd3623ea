"""Going back through a body that is run again and again: what Loop and Scan have in common.

The way back takes the iterations in reverse.  Each one computes once more what the body
computed, from the states it began with, which the forward node is made to give out for every
iteration as more scan outputs, and goes back through that.  Gradients of states are handed from
one iteration to the one before it; those of values that the body captures are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import onnx_ir as ir

from onnxpress.autodiff.activity import captured, depends, leads
from onnxpress.autodiff.bodies import Body, fresh
from onnxpress.autodiff.iterating import Source, State, Steps, Stream
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError
from onnxpress.graph.types import Dim, type_of


class Rewind:
    """The body of the way back.

    Its outputs are the gradients of the states, the sums for captured values, and the slices of
    the gradients of what is read slice by slice.  The rule adds what its node needs besides.

    Attributes:
        body: The body; it has no inputs as yet.
        reads: What each of the last outputs is a slice of the gradient of.
    """

    def __init__(self, at: Site, steps: Steps) -> None:
        self._at, self._steps = at, steps
        inside = enumerate(captured(steps.body), len(at.node.inputs))
        self._captured = [value for i, value in inside if at.needs(i)]
        self.reads = [read for read in steps.reads if at.needs(read.index)]
        self._states = _carried(at, steps, self._captured, self.reads)
        self._given = self._inputs()
        self.body = Body(at.op, steps.body, [*self._given.items(), *steps.known.items()])
        self._slopes = [self._like(state.before) for state in self._states]
        written = [write for write in steps.writes if at.dy[write.index] is not None]
        self._pieces = [(write, self._like(write.inner)) for write in written]
        self._close(self._back())

    @property
    def begun(self) -> list[ir.Value]:
        """The inputs that hold what is handed on from iteration to iteration."""
        return [*self._slopes, *self._sums.values()]

    def begin(self) -> list[Tensor]:
        """Return what these inputs are before the first iteration on the way back."""
        at = self._at
        last = [at.dy[s.last] or at.op.zeros_like(at.input(s.first)) for s in self._states]
        return [*last, *(at.op.zeros_like(at.op.tensor(value)) for value in self._sums)]

    def sources(self, *, any_at_all: bool = False) -> list[Source]:
        """Return what the body reads slice by slice; the forward node gives it out from now on.

        Args:
            any_at_all: Whether there must be something.
        """
        found = [*self._remembered(), *self._read(), *self._arriving()]
        used = [source for source in found if source.inner.uses()]
        used = used or (found[:1] if any_at_all else [])
        for source in used:
            source.inner.type = source.inner.type or source.outer.value.type
        return used

    def gradients(self, results: Sequence[Tensor]) -> Gradients:
        """Return what the rule returns, from the outputs of the node that has this body."""
        at = self._at
        receivers: list[int | ir.Value] = [s.first for s in self._states]
        receivers += [*self._sums, *(read.index for read in self.reads)]
        found: dict[int | ir.Value, Tensor] = {}
        for receiver, result in zip(receivers, results, strict=True):
            given = receiver if isinstance(receiver, ir.Value) else at.input(receiver).value
            known = at.op.tensor(given)
            found[receiver] = at.op.typed(result.value, known.dtype, known.shape)
        inside = captured(self._steps.body)
        return [*map(found.get, range(len(at.node.inputs))), *map(found.get, inside)]

    def _inputs(self) -> dict[ir.Value, ir.Value]:
        """Return a value for each input of the body that the way back may read again."""
        at, steps = self._at, self._steps
        shapes = {s.before: at.input(s.first).shape for s in steps.states}
        shapes |= {r.inner: _slice(at.input(r.index), r.axis) for r in steps.reads}
        shapes |= {value: type_of(value).shape for value in steps.remembered}
        types = {s.before: at.input(s.first).value for s in steps.states}
        types |= {r.inner: at.input(r.index).value for r in steps.reads}
        return {
            value: fresh(at.op, value.name, types.get(value, value), shape)
            for value, shape in shapes.items()
        }

    def _like(self, value: ir.Value) -> ir.Value:
        known = self._given.get(value, value)
        return fresh(self._at.op, value.name, known, type_of(known).shape)

    def _back(self) -> dict[ir.Value, Tensor]:
        """Go back through one iteration; return the gradients by values of the source."""
        body, tensor = self.body, self.body.op.tensor
        pairs = [
            *((s.after, tensor(v)) for s, v in zip(self._states, self._slopes, strict=True)),
            *((write.inner, tensor(v)) for write, v in self._pieces),
        ]
        wanted = [
            *(s.before for s in self._states),
            *self._captured,
            *(read.inner for read in self.reads),
        ]
        inner = [body[value] for value in wanted]
        found = self._at.walk.back(body.op, body.nodes, body.seeds(pairs), inner)
        return {v: found[i] for v, i in zip(wanted, inner, strict=True) if i in found}

    def _close(self, found: Mapping[ir.Value, Tensor]) -> None:
        """Add the outputs."""
        body, op = self.body, self.body.op
        for state, slope in zip(self._states, self._slopes, strict=True):
            like = op.tensor(slope)
            body.output(found.get(state.before) or op.zeros_like(like), like)
        self._sums = {v: self._like(v) for v in self._captured if v in found}
        for value, total in self._sums.items():
            body.output(op.tensor(total) + found[value], op.tensor(total))
        self.reads = [read for read in self.reads if read.inner in found]
        for read in self.reads:
            body.output(found[read.inner], op.tensor(self._given[read.inner]))
        body.prune()

    def _remembered(self) -> list[Source]:
        remembered = [*self._steps.remembered, *(s.before for s in self._steps.states)]
        return [
            Source(self._given[value], self._remember(value))
            for value in remembered
            if self._given[value].uses() or value in self._steps.remembered
        ]

    def _remember(self, value: ir.Value) -> Tensor:
        for state in self._steps.states:
            if state.before is value:
                _check_steady(self._at, state)
        return self._steps.remember(value)

    def _read(self) -> list[Source]:
        at = self._at
        return [
            Source(self._given[r.inner], at.input(r.index), r.axis, not r.backwards)
            for r in self._steps.reads
        ]

    def _arriving(self) -> list[Source]:
        at = self._at
        return [
            Source(inner, at.gradient_of(w.index), w.axis, not w.backwards)
            for w, inner in self._pieces
        ]


def _carried(
    at: Site, steps: Steps, captures: Collection[ir.Value], reads: Collection[Stream]
) -> list[State]:
    """Return the states that gradients pass through, be it only after several iterations."""
    nodes, moves = list(steps.body), at.walk.moves
    sources = {*captures, *(read.inner for read in reads)}
    moved = {s for s in steps.states if at.needs(s.first)}
    _grow(
        moved,
        steps.states,
        lambda known: depends(nodes, sources | {s.before for s in known}, moves),
        lambda s: s.after,
    )
    targets = {write.inner for write in steps.writes if at.dy[write.index] is not None}
    needed = {s for s in steps.states if at.dy[s.last] is not None}
    _grow(
        needed,
        steps.states,
        lambda known: leads(nodes, targets | {s.after for s in known}, moves),
        lambda s: s.before,
    )
    found = [s for s in steps.states if s in moved & needed]
    for state in found:
        _check_tensor(at, state)
    return found


def _grow(
    known: set[State],
    states: Sequence[State],
    reached: Callable[[set[State]], set[ir.Value]],
    end: Callable[[State], ir.Value],
) -> None:
    """Add the states one end of which is reached from those known, until there are no more."""
    while True:
        values = reached(known)
        more = {state for state in states if end(state) in values} - known
        if not more:
            return
        known |= more


def _check_tensor(at: Site, state: State) -> None:
    if not isinstance(at.input(state.first).value.type, ir.TensorType | None):
        raise ModelError(
            f"{_named(at)} hands on {state.before.name!r}, which is no tensor but a sequence or "
            "optional; gradients can't be taken through that: write a scan output instead"
        )


def _check_steady(at: Site, state: State) -> None:
    """The values of a state are stacked; that they differ in shape is seen here if it can be."""
    _check_tensor(at, state)
    first, after = at.input(state.first).shape, type_of(state.after).shape
    if first is None or after is None:
        return
    pairs = zip(first, after, strict=False)
    differ = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
    if differ or len(first) != len(after):
        raise ModelError(
            f"{_named(at)} hands on {state.before.name!r}, whose shape changes from {list(first)} "
            f"to {list(after)}; the gradient keeps the values of all iterations in one tensor, "
            "so give them the same shape, for example by filling a tensor of the final size"
        )


def _named(at: Site) -> str:
    return f"{at.node.op_type} {at.node.name or at.node.outputs[0].name!r}"


def _slice(outer: Tensor, axis: int) -> tuple[Dim, ...] | None:
    if outer.shape is None:
        return None
    axis %= len(outer.shape)
    return outer.shape[:axis] + outer.shape[axis + 1 :]
