"""shuffled: the control that keeps how much each layer loses."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.channels import find_channels
from onnxpress.errors import OnnxpressError
from onnxpress_pruning.criteria.gradients import Snip
from onnxpress_pruning.criteria.known import SALIENCY, make_saliency
from onnxpress_pruning.criteria.shuffled import Shuffled
from tests.plugins.pruning.criteria.saliency import scores, subject


def test_it_has_the_same_scores_in_each_tensor_at_other_places() -> None:
    plain, mixed = scores(Snip(), subject()), scores(Shuffled(), subject())
    for name, array in mixed.items():
        assert np.array_equal(np.sort(array, axis=None), np.sort(plain[name], axis=None))
        assert not np.array_equal(array, plain[name])


def test_it_depends_on_the_seed_alone() -> None:
    first, again = scores(Shuffled(), subject()), scores(Shuffled(), subject())
    other = scores(Shuffled(), subject(seed=1))
    assert np.array_equal(first["w2"], again["w2"])
    assert not np.array_equal(first["w2"], other["w2"])


def test_channels_are_mixed_within_their_group() -> None:
    of = subject()
    groups = find_channels(of.model).groups
    plain, mixed = (c.channels(of, groups) for c in (Snip(), Shuffled(of="snip")))
    changed = [not np.array_equal(plain(g), mixed(g)) for g in groups]
    assert any(changed)
    for group in groups:
        assert np.array_equal(np.sort(plain(group)), np.sort(mixed(group)))


@pytest.mark.parametrize("written", ["shuffled:of=l1", {"use": "shuffled", "of": "l1"}])
def test_any_criterion_can_be_named(written: object) -> None:
    found = make_saliency(written)
    assert isinstance(found, Shuffled)
    assert found.of.name == "l1"
    assert make_saliency(found.model_dump(mode="json")) == found


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(OnnxpressError, match="no criterion called 'l3'"):
        make_saliency("shuffled:of=l3")


def test_every_saliency_criterion_says_what_it_needs() -> None:
    assert {"snip", "taylor", "taylor-activation", "fisher", "obd", "grasp", "synflow"} <= {
        *SALIENCY
    }
    assert all(SALIENCY[n].needs == "labels" for n in ("snip", "taylor", "fisher", "obd", "grasp"))
    assert SALIENCY["synflow"].needs == "weights"
