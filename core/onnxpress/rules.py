"""Per-operator knowledge, kept in tables: one table per interpretation, one function per rule.

A table is a value. `RuleTable` collects rules with a decorator; ``table + rules``
is a new table with the rules of plugins laid over it.  Rules are found by
operator, domain and opset: of several, the newest that is not newer than the
opset in use counts, as in the ONNX standard itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do at one operator, for the table called `table`.

    Attributes:
        table: The table it is for, such as ``"cost"``.
        op: The operator type, such as ``"Conv"``.
        apply: The rule itself; its signature is the table's.
        domain: The operator's domain, ``""`` for ``ai.onnx``.
        since: The first opset version of `domain` for which it holds.
    """

    table: str
    op: str
    apply: Callable[..., Any]
    domain: str = ""
    since: int = 1

    @property
    def operator(self) -> str:
        """The operator with its domain, such as ``com.acme.Rotary``."""
        return f"{self.domain}.{self.op}" if self.domain else self.op


class RuleTable(Generic[F]):
    """The rules of one interpretation, found by operator."""

    def __init__(self, name: str, rules: Iterable[Rule] = ()) -> None:
        self.name = name
        self._rules: dict[tuple[str, str], dict[int, Rule]] = {}
        for rule in rules:
            self._put(rule)

    def __call__(self, *ops: str, domain: str = "", since: int = 1) -> Callable[[F], F]:
        """Register the decorated function for `ops`."""

        def register(function: F) -> F:
            for op in ops:
                self._put(Rule(self.name, op, function, domain, since))
            return function

        return register

    def __add__(self, rules: Iterable[Rule]) -> RuleTable[F]:
        """Return a new table in which `rules` (those meant for this table) win."""
        return RuleTable(self.name, [*self, *(r for r in rules if r.table == self.name)])

    def __iter__(self) -> Iterator[Rule]:
        return (rule for versions in self._rules.values() for rule in versions.values())

    def __len__(self) -> int:
        return sum(map(len, self._rules.values()))

    def find(self, op: str, domain: str = "", opset: int | None = None) -> F | None:
        """Return the rule for an operator, or None.

        Args:
            op: The operator type.
            domain: Its domain; ``"ai.onnx"`` is the same as ``""``.
            opset: The opset version in use; None takes the newest rule.
        """
        versions = self._rules.get(("" if domain == "ai.onnx" else domain, op), {})
        fitting = [since for since in versions if opset is None or since <= opset]
        return versions[max(fitting)].apply if fitting else None  # type: ignore[return-value]

    def _put(self, rule: Rule) -> None:
        self._rules.setdefault((rule.domain, rule.op), {})[rule.since] = rule
