"""Rule tables are values; rules are found by operator, domain and opset."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onnxpress.rules import Rule, RuleTable

Answer = Callable[[], str]


def saying(text: str) -> Answer:
    return lambda: text


def found(
    table: RuleTable[Answer], op: str, domain: str = "", opset: int | None = None
) -> str | None:
    rule = table.find(op, domain, opset)
    return rule() if rule else None


def test_the_decorator_registers_a_function_for_all_its_operators() -> None:
    table: RuleTable[Answer] = RuleTable("speech")

    @table("Add", "Sub", domain="com.acme", since=2)
    def speak() -> str:
        return "hello"

    assert found(table, "Add", "com.acme") == found(table, "Sub", "com.acme") == "hello"
    assert [(r.table, r.op, r.since) for r in table] == [("speech", "Add", 2), ("speech", "Sub", 2)]
    assert len(table) == 2
    assert speak() == "hello"


@pytest.mark.parametrize(
    ("opset", "answer"),
    [
        (None, "thirteen"),
        (21, "thirteen"),
        (13, "thirteen"),
        (12, "seven"),
        (7, "seven"),
        (6, None),
    ],
)
def test_the_newest_rule_not_newer_than_the_opset_counts(
    opset: int | None, answer: str | None
) -> None:
    table = RuleTable[Answer](
        "speech",
        [
            Rule("speech", "Add", saying("thirteen"), since=13),
            Rule("speech", "Add", saying("seven"), since=7),
        ],
    )
    assert found(table, "Add", opset=opset) == answer


def test_domains_do_not_mix_and_ai_onnx_is_the_empty_one() -> None:
    table = RuleTable[Answer]("speech", [Rule("speech", "Add", saying("standard"))])
    assert found(table, "Add", "ai.onnx") == "standard"
    assert found(table, "Add", "com.acme") is None
    assert found(table, "Sub") is None


def test_adding_rules_makes_a_new_table_in_which_they_win() -> None:
    table = RuleTable[Answer]("speech", [Rule("speech", "Add", saying("core"))])
    rules = [
        Rule("speech", "Add", saying("plugin")),
        Rule("speech", "Rotary", saying("custom"), domain="com.acme"),
        Rule("song", "Add", saying("for another table")),
    ]
    more = table + rules
    assert found(more, "Add") == "plugin"
    assert found(more, "Rotary", "com.acme") == "custom"
    assert len(more) == 2
    assert found(table, "Add") == "core"
    assert len(table) == 1


def test_a_rule_names_its_operator_with_its_domain() -> None:
    assert Rule("speech", "Add", saying("")).operator == "Add"
    assert Rule("speech", "Rotary", saying(""), domain="com.acme").operator == "com.acme.Rotary"
