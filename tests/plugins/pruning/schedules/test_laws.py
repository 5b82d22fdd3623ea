"""What holds for every schedule: the share, the promises of a step, resuming, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from onnxpress import Job, Model
from onnxpress.data import open_data
from onnxpress.errors import OptionError, UsageError
from onnxpress.events import Event, Trained
from onnxpress.graph.pruned import pruned_names
from onnxpress.recipe.options import fill_in
from onnxpress.testing import check_transform
from onnxpress.testing.require import as_bytes
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.schedules.known import SCHEDULES
from onnxpress_training import Finetune
from tests.core.training.fitting import weights
from tests.core.training.nets import convnet, images
from tests.core.training.test_checkpoint import Interrupted

ALL: Final = {
    "one-shot": "one-shot",
    "iterative": "iterative:rounds=2",
    "constant": "constant:begin=3",
    "polynomial": "polynomial:initial=0.2,end=7,frequency=2",
    "agp": "agp",
    "cubic": "cubic:initial=0.1,begin=2",
    "surgery": "surgery",
    "movement": "movement:begin=2",
    "rigl": "rigl:frequency=2,distribution=uniform",
    "lottery": "lottery:rewind=2,rate=0.4",
    "sparsity-learning": "sparsity-learning:strength=0.01",
}
TRAIN: Final[dict[str, Any]] = {"epochs": 2, "batch": 8, "lr": 0.01, "threads": 1}
KERNELS: Final = ("w1", "w2", "w3")


def without(*names: str) -> list[str]:
    return [spec for name, spec in ALL.items() if name not in names]


def step(schedule: str, **options: Any) -> MagnitudePruning:
    given = {"sparsity": 0.6, "schedule": schedule, "train": TRAIN, **options}
    return fill_in(MagnitudePruning, "magnitude-pruning", given, lambda *_keys: "")


def job(seed: int = 0) -> Job:
    return Job(open_data(images(), convnet()), seed)


def share(model: Model, *names: str) -> float:
    found = weights(model)
    zeros = sum(found[name].size - np.count_nonzero(found[name]) for name in names)
    return float(zeros / sum(found[name].size for name in names))


def test_every_schedule_is_tried_here() -> None:
    assert ALL.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)
def test_it_keeps_the_promises_of_a_step_and_reaches_the_share(schedule: str) -> None:
    before = convnet()
    after = check_transform(step(schedule), before, open_data(images(), before))
    for name in KERNELS:
        size = weights(after)[name].size
        assert share(after, name) == round(0.6 * size) / size
    assert pruned_names(after.ir) == list(KERNELS)
    untouched = set(weights(after)) - set(KERNELS)
    assert all((weights(after)[name] != 0).all() for name in untouched)
    assert all((weights(after)[n] != weights(before)[n]).any() for n in weights(before))


@pytest.mark.parametrize("schedule", without("rigl"))
def test_a_global_share_is_one_of_all_together(schedule: str) -> None:
    after = step(schedule, scope="global").apply(convnet(), job())
    size = sum(weights(after)[name].size for name in KERNELS)
    assert share(after, *KERNELS) == round(0.6 * size) / size
    assert len({share(after, name) for name in KERNELS}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("schedule", without("rigl"))
def test_blocks_go_as_wholes(schedule: str) -> None:
    options = {"structure": "block", "block": "1x2", "layers": ["op:Conv"]}
    after = weights(step(schedule, **options).apply(convnet(), job()))
    blocks = after["w2"].reshape(5, 2, 2, 3, 3) != 0
    assert (blocks.all(2) | ~blocks.any(2)).all()
    assert (~blocks.any(2)).sum() == round(0.6 * 5 * 2 * 9)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", without("rigl", "lottery"))
def test_of_every_four_two_stay(schedule: str) -> None:
    given = {"structure": "n:m", "layers": ["d"], "schedule": schedule, "train": TRAIN}
    one = fill_in(MagnitudePruning, "magnitude-pruning", given, lambda *_keys: "")
    after = weights(one.apply(convnet(), job()))["w2"]
    assert ((after != 0).sum(1) == 2).all()


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)
def test_later_training_keeps_the_zeros(schedule: str) -> None:
    before = step(schedule).apply(convnet(), job())
    after = Finetune.model_validate({"train": TRAIN}).apply(before, job())
    for name in KERNELS:
        np.testing.assert_array_equal(weights(after)[name] == 0, weights(before)[name] == 0)
        assert (weights(after)[name] != weights(before)[name]).any()


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)
@pytest.mark.parametrize("after", [3, 8, 14])
def test_it_goes_on_from_a_checkpoint_bit_for_bit(
    schedule: str, after: int, tmp_path: Path
) -> None:
    """Rounds have a checkpoint each; those that are over are not trained again."""
    done = 0

    def notify(event: Event) -> None:
        nonlocal done
        done += isinstance(event, Trained)
        if done == after:
            raise Interrupted

    whole = step(schedule).apply(convnet(), job())
    kept = {**TRAIN, "checkpoint": tmp_path / "c.npz", "checkpoint_every": 1}
    stopped = job()
    stopped.notify = notify
    try:
        step(schedule, train=kept).apply(convnet(), stopped)
    except Interrupted:
        assert list(tmp_path.iterdir())
    told: list[Event] = []
    again = job()
    again.notify = told.append
    result = step(schedule, train=kept).apply(convnet(), again)
    assert as_bytes(result) == as_bytes(whole)
    assert sum(isinstance(event, Trained) for event in told) == max(total(schedule) - after + 1, 0)


def total(schedule: str) -> int:
    """Return how many batches a schedule trains on in all."""
    rounds = {ALL["iterative"]: 2, ALL["lottery"]: 3, ALL["sparsity-learning"]: 2}
    return 10 * rounds.get(schedule, 1)


@pytest.mark.parametrize("schedule", without("one-shot"))
def test_without_training_it_says_what_to_give(schedule: str) -> None:
    with pytest.raises(UsageError, match="prunes while the model is trained; say how to"):
        step(schedule, train=None).apply(convnet(), job())


@pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)
def test_without_data_it_says_so(schedule: str) -> None:
    with pytest.raises(UsageError, match="magnitude-pruning needs data"):
        step(schedule).apply(convnet(), Job())


@pytest.mark.parametrize(
    ("schedule", "options", "said"),
    [
        ("movement", {"criterion": "random"}, "learns its own scores; leave out criterion"),
        ("rigl", {"structure": "block"}, "drops and grows single weights"),
        ("rigl", {"sparsities": {"d": 0.5}}, "sparsities need distribution=uniform"),
        ("polynomial", {"of": "remaining"}, "of=remaining fits one-shot pruning"),
        ("iterative", {"of": "remaining"}, "of=remaining fits one-shot pruning"),
        ("polynomial", {"structure": "channel"}, "structure=channel takes parts out of the graph"),
        ("lottery", {"structure": "channel"}, "use schedule=iterative, sparsity-learning"),
        ("rigl", {"reconstruct": True}, "leave out reconstruct"),
        ("surgery:low=2", {}, "low is above high"),
        ("polynomial:begin=99", {}, r"goes from update 99 to 8, and training has 10"),
        ("polynomial:end=11", {}, r"goes from update 0 to 11, and training has 10"),
        ("lottery:rewind=10", {}, r"rewind=10 \(steps\) is not before the last update"),
    ],
)
def test_what_does_not_fit_is_refused(schedule: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        step(schedule, **options).apply(convnet(), job())


@pytest.mark.parametrize("schedule", ["polynomial", "rigl", "lottery", "iterative"])
def test_masks_of_ones_own_are_not_changed(schedule: str) -> None:
    given = {"masks": {"w1": np.ones((4, 2, 3, 3))}, "schedule": schedule, "train": TRAIN}
    with pytest.raises(OptionError, match="masks decide what is pruned"):
        fill_in(MagnitudePruning, "magnitude-pruning", given, lambda *_keys: "")
