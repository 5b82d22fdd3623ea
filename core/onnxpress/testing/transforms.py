"""`check_transform`: the laws that every transform keeps, on one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxpress.job import Job
from onnxpress.testing.require import as_bytes, require, require_json

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.contract import Transform
    from onnxpress.data.batch import Data, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule


def check_transform(
    transform: Transform,
    model: Model,
    data: Data | None = None,
    *,
    seed: int = 0,
    rules: tuple[Rule, ...] = (),
) -> Model:
    """Apply a transform twice and check everything that it owes its users.

    - Its options survive being written as JSON and read again.
    - The model it was given is the same afterwards, byte for byte.
    - What it returns passes the checker, has the same inputs and outputs (names, types,
      shapes), uses no operator domain that the model did not use, and loads and runs in
      ONNX Runtime.
    - The same seed gives the same bytes.
    - Everything declined has a subject and a reason, and everything it says of changes
      can be written into a report.

    Args:
        transform: The transform, with options.
        model: A model that ONNX Runtime runs.
        data: What to calibrate or train on; its first batch is also what is run.  By
            default, random arrays are run and the transform gets no data.
        seed: The seed of both runs.
        rules: Rules of plugins to work with.

    Returns:
        What the transform made, for checks of your own.

    Raises:
        AssertionError: Says which law is broken, and how.
    """
    name = transform.name
    _check_options(transform)
    before = as_bytes(model)
    first, again = (Job(data, seed, rules) for _ in range(2))
    result = transform.apply(model, first)
    require(as_bytes(model) == before, f"{name} changed the model it was given")
    _check_result(name, model, result, _feeds(model, data, seed))
    _check_report(name, first)
    repeated = transform.apply(model, again)
    require(as_bytes(repeated) == as_bytes(result), f"{name} made other bytes with the same seed")
    return result


def _check_options(transform: Transform) -> None:
    kind = type(transform)
    written = transform.model_dump_json()
    read = kind.model_validate_json(written)
    require(
        read == transform,
        f"{transform.name} with the options {written} read them back as {read!r}",
    )


def _check_result(name: str, before: Model, after: Model, feeds: Feeds) -> None:
    from onnxpress.graph.model import Model

    require(isinstance(after, Model), f"{name} returned {after!r}, not a Model")
    for side in ("inputs", "outputs"):
        was, now = (_signature(getattr(m.ir.graph, side)) for m in (before, after))
        require(was == now, f"{name} changed the {side} of the model from {was} to {now}")
    new = _domains(after) - _domains(before)
    require(not new, f"{name} added operators of {sorted(new)}, which not every runtime knows")
    try:
        after.check()
        outputs = after.run(feeds)
    except Exception as error:
        raise AssertionError(f"{name} made a model that can't be used: {error}") from error
    wanted = {key: array.dtype for key, array in before.run(feeds).items()}
    got = {key: array.dtype for key, array in outputs.items()}
    require(got == wanted, f"{name} made a model that returns {got}, not {wanted}")


def _signature(values: Any) -> list[tuple[Any, ...]]:
    return [(v.name, str(v.type), None if v.shape is None else _dims(v.shape)) for v in values]


def _dims(shape: ir.Shape) -> list[int | str | None]:
    return [d if isinstance(d, int) else d.value for d in shape]


def _domains(model: Model) -> set[str]:
    nodes = (node for graph in model.ir.graphs() for node in graph)
    return {"" if node.domain == "ai.onnx" else node.domain for node in nodes} | {""}


def _check_report(name: str, job: Job) -> None:
    for declined in job.declined:
        said = declined.subject.strip() and declined.reason.strip()
        require(said, f"{name} declined without subject or reason: {declined}")
    for changed in job.changed:
        require(changed.subject.strip(), f"{name} changed something without a name: {changed}")
        require_json(dict(changed.details), f"what {name} says about {changed.subject!r}")


def _feeds(model: Model, data: Data | None, seed: int) -> Feeds:
    from onnxpress.data.random import runnable_feeds

    return next(iter(data)).feeds if data is not None else runnable_feeds(model, batch=2, seed=seed)
