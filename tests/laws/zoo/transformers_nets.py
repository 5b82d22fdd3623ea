"""How entries come from `transformers`: a configuration, a model class, and the output to keep."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.laws.zoo.net import BOTH, Exporter, Fed, Net

VOCABULARY: Final = 96
LENGTH: Final = 12
TOKENS: Final = Fed((2, LENGTH), VOCABULARY)
"""Token ids; the length stays fixed, since many exports freeze it in positions and masks."""
MASK: Final = Fed((2, LENGTH), below=2, start=1)
"""An attention mask that hides nothing."""


def transformers_net(
    name: str,
    model: str,
    config: str,
    inputs: Mapping[str, Fed] | None = None,
    exporters: tuple[Exporter, ...] = BOTH,
    output: str = "logits",
    **options: Any,
) -> Net:
    """Return an entry made of ``transformers.<model>(transformers.<config>(**options))``.

    Args:
        name: The entry's.
        model: The model's class.
        config: Its configuration's class.
        inputs: By the names of the model's arguments; ``input_ids`` if not given.
        exporters: Those that take it.
        output: The field of the model's result that is the output.
        options: Of the configuration.
    """
    fed = {"input_ids": TOKENS} if inputs is None else dict(inputs)
    make = from_transformers(model, config, tuple(fed), output, **options)
    return Net(name, make, fed, exporters, needs=("transformers",))


def from_transformers(
    model: str, config: str, names: tuple[str, ...], output: str, **options: Any
) -> Callable[[], Any]:
    """Return what makes a module that takes the inputs in order and returns one tensor."""

    def make() -> Any:
        transformers = importlib.import_module("transformers")
        made = getattr(transformers, config)(**options)
        made._attn_implementation = "eager"  # the only one that both exporters take
        return _plain(getattr(transformers, model)(made), names, output)

    return make


def _plain(model: Any, names: tuple[str, ...], output: str) -> Any:
    """Wrap a model, whose result is a record and whose arguments have names."""
    from torch import nn

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: Any) -> Any:
            given = dict(zip(names, values, strict=True))
            return getattr(self.model(**given, **_without_cache(model)), output)

    return Plain()


def _without_cache(model: Any) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(model.config, "use_cache") else {}
