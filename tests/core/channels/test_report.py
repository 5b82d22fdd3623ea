"""How groups are shown."""

from __future__ import annotations

import json

from rich.console import Console

from onnxpress.channels import Channels, find_channels
from tests.core.channels.nets import net
from tests.core.channels.test_find import attention, residual, unknown


def shown(channels: Channels) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as capture:
        console.print(channels)
    return capture.get()


def test_the_table_names_groups_layers_and_reasons() -> None:
    channels = find_channels(residual())
    text = shown(channels)
    for group in channels.groups:
        assert group.name in text
    assert "because" in text
    assert "it is the output 'y' of the model" in text
    assert "2 channel groups" in text
    total = channels.cost({})[1]
    assert f"of {total:,} parameters" in text


def test_heads_are_called_so() -> None:
    assert "3 × 4 heads" in shown(find_channels(attention(), split="heads"))


def test_operators_without_a_rule_are_told() -> None:
    assert "com.acme::Rotary" in shown(find_channels(unknown()))


def test_names_with_brackets_are_no_markup() -> None:
    model = net(
        "(float[N,6] x) => (float[N,3] y) { a = MatMul(x, w1)  y = MatMul(a, w2) }",
        w1=(6, 5), w2=(5, 3),
    )  # fmt: skip
    edit = model.edit()
    for i, node in enumerate(edit.graph):
        node.name = f"block[{i}]/[red]"
    channels = find_channels(edit.done())
    assert "block[0]/[red]" in shown(channels)


def test_plain_data_says_all_and_is_json() -> None:
    channels = find_channels(residual())
    plain = channels.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert [group["channels"] for group in plain["groups"]] == [8, 6]
    assert [m["positions"] for m in plain["groups"][0]["members"]] == [8, 8, 8, 8]
    assert plain["parameters"] == channels.cost({})[1]
    weights = 8 * 27 + 2 * 6 * 8 * 9 + 5 * 8
    assert plain["parameters_in_groups"] == weights
    assert plain["kept"][0]["reason"] == "it is the output 'y' of the model"
    assert plain["notes"] == []
