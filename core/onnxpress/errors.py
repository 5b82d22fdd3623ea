"""Everything that onnxpress raises on purpose, and the exit code that belongs to it.

OnnxpressError              1  a run that failed
  ModelError                1  a model that can't be read, checked, run or written
    MissingRuleError        1  an operator that there is no gradient rule for
  DataError                 1  an array of the data that can't be used
  PluginError               1  a plugin failed to load, or broke the contract
  GuardError                1  the result missed its guard; the original is kept
  UsageError                2  the call itself is wrong
    UnknownNameError        2  no step, option, layer, metric … of that name
    OptionError             2  a value that an option does not take

An error says what is wrong, where, and what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher, get_close_matches
from typing import ClassVar


class OnnxpressError(Exception):
    """Base class of every error that onnxpress raises on purpose."""

    exit_code: ClassVar[int] = 1


class ModelError(OnnxpressError):
    """A model that can't be read, checked, run or written."""


class MissingRuleError(ModelError):
    """A gradient would have to pass through an operator that has no rule.

    Args:
        message: Which operator, where, and what to do.
        free: Names of the tensors whose gradients need no such rule, of those asked for.
    """

    def __init__(self, message: str, free: Iterable[str] = ()) -> None:
        self.free = frozenset(free)
        super().__init__(message)


class DataError(OnnxpressError):
    """An array of the data that can't be used."""


class PluginError(OnnxpressError):
    """A plugin failed to load, or broke the contract."""


class PluginWarning(UserWarning):
    """A plugin was left out; the message says which, why and what to do."""


class GuardError(OnnxpressError):
    """The result missed what was asked of it; nothing was written."""


class UsageError(OnnxpressError):
    """The call itself is wrong."""

    exit_code = 2


class OptionError(UsageError):
    """A value that an option does not take."""


class UnknownNameError(UsageError, KeyError):
    """Nothing is known under the name asked for.

    Args:
        kind: What was looked for, as a noun: ``"step"``, ``"layer"``.
        name: The name asked for.
        known: The names there are.
        hints: More lines that may explain the absence, such as plugins that failed.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], hints: Iterable[str] = ()
    ) -> None:
        names = sorted(set(known))
        lines = [f"there is no {kind} called {name!r}{suggestion(name, names)}", *hints]
        self.message = "\n  ".join(lines)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


_SHOWN = 12
_LEAST_SHARED = 3


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean …?"`` with the nearest names, else a list of what there is."""
    names = sorted(set(known))
    if close := _nearest(name, names):
        return f"; did you mean {' or '.join(map(repr, close))}?"
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return f"; known: {', '.join(names[:_SHOWN]) or 'none'}{more}"


def _nearest(name: str, names: list[str]) -> list[str]:
    """Return names that are spelt like `name`, else those that share the most of it.

    The latter serves patterns: ``layer9.*`` is close to nothing, but shares ``layer``
    with ``/layer1/conv1/Conv``.
    """
    if close := get_close_matches(name, names, n=3, cutoff=0.5):
        return close
    plain = max(re.split(r"[^\w./-]+", name), key=len)
    shared = {
        n: SequenceMatcher(None, plain, n, autojunk=False).find_longest_match().size for n in names
    }
    enough = max(_LEAST_SHARED, len(plain) * 0.6)
    return sorted((n for n in names if shared[n] >= enough), key=lambda n: (-shared[n], n))[:3]


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a line to the errors of ours that pass, such as where their cause is written."""
    try:
        yield
    except OnnxpressError as error:
        if note:
            error.add_note(note)
        raise


def explained(error: BaseException) -> str:
    """Return what an error says and, indented below it, the lines that were added."""
    return "\n  ".join([str(error), *getattr(error, "__notes__", [])])
