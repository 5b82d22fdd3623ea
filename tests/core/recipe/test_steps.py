"""From every way to write a step to the step, or to an error that helps."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from onnxpress.errors import OptionError, UnknownNameError, UsageError, explained
from onnxpress.plugins import Plugins
from onnxpress.recipe import Step, make_objective, make_step
from onnxpress.recipe.steps import describe, options_of, to_table, unusual_options
from tests.core.steps import Dampen, Schedule, Train, plugins
from tests.fakes import Nothing, offering

HOST = plugins()


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ("dampen", Dampen()),
        ("fake:dampen:by=0.25", Dampen(by=0.25)),
        ("dampen:only-large=yes,layers=[1.10,b]", Dampen(only_large=True, layers=("1.10", "b"))),
        ("dampen:bits=4,label=7", Dampen(bits=4, label="7")),
        ("dampen:label=none", Dampen(label="none")),
        ({"use": "dampen", "by": 0.1, "only_large": True}, Dampen(by=0.1, only_large=True)),
        ({"use": "dampen", "only-large": True}, Dampen(only_large=True)),
        (Dampen(by=0.3), Dampen(by=0.3)),
        ("train:schedule={max-epochs=3}", Train(schedule=Schedule(max_epochs=3))),
    ],
)
def test_ways_to_write_a_step(step: Step, wanted: Dampen) -> None:
    assert make_step(step, HOST) == wanted


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("dampn", "there is no step called 'dampn'; did you mean 'dampen'"),
        ("dampen:0.5", "dampen: write '0.5' as key=value"),
        ("dampen:bye=0.5", "no option of dampen called 'bye'; did you mean 'by'"),
        ("dampen:by=1", "dampen: by is 1; it must be at least 0 and less than 1"),
        ("dampen:by=half", "by is 'half'; it must be a number"),
        ("dampen:mode=al", "mode is 'al'; it must be 'all' or 'first'; did you mean 'all'"),
        ("dampen:bits=5", "bits is 5; it must be 4 or 8"),
        ("dampen:only-large=maybe", "only-large is 'maybe'; it must be true or false"),
        ("dampen:only-large=1,only_large=0", "dampen: only-large is given twice"),
        ("train:schedule={max-epochs=0}", "schedule.max-epochs is 0; it must be at least 1"),
        ("train:schedule={epochs=0}", "no option of train.schedule called 'epochs'"),
        ({"use": "dampen", "layers": [1]}, "layers[0] is 1; it must be a string"),
        ({"by": 1}, 'a step needs use = "name"; this one has by'),
        ({"use": 7}, 'a step needs use = "name"'),
        (7, "7 is no step; give a text"),
    ],
)
def test_mistakes_are_explained_in_one_sentence(step: Any, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        make_step(step, HOST)
    assert "\n" not in explained(caught.value)
    assert caught.value.exit_code == 2


def test_several_mistakes_are_all_told() -> None:
    with pytest.raises(OptionError) as caught:
        make_step("dampen:by=2,bits=5", HOST)
    assert str(caught.value).splitlines() == [
        "dampen: 2 options can't be used",
        "  by is 2; it must be at least 0 and less than 1",
        "  bits is 5; it must be 4 or 8",
    ]


def test_a_name_of_no_step_is_looked_up_like_any_other() -> None:
    with pytest.raises(UnknownNameError, match="no step called 'mine:dampen'"):
        make_step("mine:dampen", HOST)


def test_a_step_as_a_table_is_that_step_again() -> None:
    step = Dampen(by=0.25, layers=("a", "b"), label="x")
    table = to_table(step)
    assert table["use"] == "dampen"
    assert table["only-large"] is False
    assert make_step(table, HOST) == step


@pytest.mark.parametrize(
    ("step", "unusual"),
    [
        (Dampen(), {}),
        (Dampen(by=0.25, bits=8), {"by": 0.25}),
        (Dampen(only_large=True, layers=("a", "b")), {"only-large": True, "layers": ["a", "b"]}),
        (Train(schedule=Schedule()), {"schedule": {}}),
        (Train(schedule=Schedule(max_epochs=2)), {"schedule": {"max_epochs": 2}}),
    ],
)
def test_options_that_are_not_as_usual_make_the_step_again(
    step: Dampen | Train, unusual: dict[str, Any]
) -> None:
    assert unusual_options(step) == unusual
    assert make_step({"use": step.name, **unusual}, HOST) == step


@pytest.mark.parametrize("name", Plugins.discover().transforms)
def test_of_a_step_as_it_comes_no_option_is_unusual(name: str) -> None:
    plugins = Plugins.discover()
    try:
        step = make_step(name, plugins)
    except OptionError:
        pytest.skip("it has an option that must be given")
    assert unusual_options(step) == {}


@pytest.mark.parametrize(
    "written",
    [
        "finetune:epochs=3,objective=[cross-entropy:label-smoothing=0.1,l2],batch=8",
        "finetune:optimizer=sgd:momentum=0.9,augment=[flip,crop:padding=2],freeze=no",
        "finetune:schedule=step:every=1,epochs=2",
        'magnitude-pruning:schedule="polynomial:initial=0.5,end=40",epochs=2,sparsities={a=0.5}',
    ],
)
def test_unusual_options_of_tables_and_objectives_make_the_step_again(written: str) -> None:
    step = make_step(written, Plugins.discover())
    unusual = unusual_options(step)
    assert make_step({"use": step.name, **unusual}, Plugins.discover()) == step
    from_report = make_step(json.loads(json.dumps(to_table(step))), Plugins.discover())
    assert unusual_options(from_report) == unusual
    assert len(str(unusual)) < len(str(options_of(step))) / 2


def test_a_step_is_described_by_what_was_given() -> None:
    assert describe(Dampen(by=0.25, layers=("a", "b"))) == "dampen:by=0.25,layers=[a,b]"
    assert describe(Dampen()) == "dampen"
    assert options_of(Train(schedule=Schedule())) == {"schedule": {"max_epochs": 1}}
    assert describe(Train(schedule=Schedule(max_epochs=2))) == "train:max-epochs=2"


def test_of_a_table_only_what_is_unusual_is_described() -> None:
    written = (
        "finetune:lr=0.1,epochs=1,optimizer=sgd:momentum=0.9,schedule=cosine,freeze=no,"
        "augment=[flip,crop:padding=2],objective=l2"
    )
    step = make_step(written, Plugins.discover())
    assert describe(step) == (
        "finetune:optimizer=sgd:momentum=0.9,lr=0.1,objective=[l2],"
        "augment=[flip,crop:padding=2],freeze=false"
    )
    several = make_step(
        {"use": "finetune", "optimizer": "adam:beta1=0,beta2=0.9"}, Plugins.discover()
    )
    assert describe(several) == 'finetune:optimizer="adam:beta1=0.0,beta2=0.9"'
    assert make_step(describe(several), Plugins.discover()) == several


def with_objective() -> Plugins:
    host = Plugins(strict=True)
    host.add("acme", offering(Dampen, objectives=[Nothing]))
    return host


@pytest.mark.parametrize(
    "objective",
    [
        "nothing:scale=2,weight=0.5",
        "acme:nothing:weight=0.5,scale=2",
        {"use": "nothing", "scale": 2, "weight": 0.5},
        Nothing(scale=2, weight=0.5),
    ],
)
def test_objectives_are_written_as_steps_are(objective: Any) -> None:
    made = make_objective(objective, with_objective())
    assert made == Nothing(scale=2, weight=0.5)
    assert describe(made) in {"nothing:scale=2.0,weight=0.5", "nothing:weight=0.5,scale=2.0"}
    assert make_objective(to_table(made), with_objective()) == made


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("noting", "there is no objective called 'noting'; did you mean 'nothing'"),
        ("dampen", "there is no objective called 'dampen'"),
        ("nothing:2", "nothing: write '2' as key=value"),
        ("nothing:scale=0", "nothing: scale is 0; it must be above 0"),
        ("=", "'=' is no objective; write name:key=value,key=value"),
        ({"weight": 1}, 'an objective needs use = "name"; this one has weight'),
        (7, "7 is no objective; give a text (name:key=value), a table with 'use', or an Objective"),
        (Dampen(), "is no objective; give a text"),
    ],
)
def test_mistakes_in_objectives_are_explained(objective: Any, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        make_objective(objective, with_objective())
