"""A job collects what a step did, what it left alone, and tells observers how far it is."""

from __future__ import annotations

import pytest

from onnxpress.contract import Changed, Declined
from onnxpress.errors import UsageError
from onnxpress.events import Event, Progress
from onnxpress.job import Job


def test_changes_and_declines_are_kept_in_order() -> None:
    job = Job()
    job.change("conv1", sparsity=0.5)
    job.decline("lstm", "it has no integer form")
    assert job.changed == [Changed("conv1", {"sparsity": 0.5})]
    assert job.declined == [Declined("lstm", "it has no integer form")]


def test_missing_data_is_a_usage_error_that_says_how_to_give_some() -> None:
    with pytest.raises(UsageError, match="linear-quantization needs data; give some with --data"):
        Job().require_data("linear-quantization")


def test_tracking_tells_observers_before_the_first_and_after_every_item() -> None:
    told: list[Event] = []
    job = Job(notify=told.append)
    assert list(job.track("ab", "calibrating", 2)) == ["a", "b"]
    assert told == [Progress("calibrating", n, 2) for n in range(3)]
