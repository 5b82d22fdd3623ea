"""`check_plugin`: the contract between a plugin and its host, strictly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from onnxpress.installed import installed
from onnxpress.plugins import Plugins
from onnxpress.testing.require import require
from onnxpress.testing.runtimes import check_probe

if TYPE_CHECKING:
    from onnxpress.contract import Importer, Objective, Transform


def check_plugin(plugin: object) -> Plugins:
    """Load one plugin, and nothing but it, and check all that it offers.

    - It keeps the contract; where the host would warn and go on, this raises.
    - Every step and objective says what it does in its docstring, and every option in its
      ``Field(description=…)``: that is the help of the command line.
    - Every importer declines what it can't know, every runtime can be probed.

    Args:
        plugin: The name of its entry point if it is installed, else the name of a module;
            or the plugin itself: a module, or an object with hooks as methods.

    Returns:
        A host with this plugin alone, for checks of your own.

    Raises:
        PluginError: If the host would refuse it or something that it offers.
        AssertionError: If what it offers is badly made; says what is wrong.
    """
    plugins = Plugins(strict=True)
    _add(plugins, plugin)
    for transform in plugins.transforms.values():
        _check_help("step", transform)
    for objective in plugins.objectives.values():
        _check_help("objective", objective)
    for importer in plugins.importers.values():
        _check_accepts(importer)
    for runtime in plugins.runtimes.values():
        check_probe(runtime)
    _ = plugins.rules  # collected, and so checked
    return plugins


def _add(plugins: Plugins, plugin: object) -> None:
    if not isinstance(plugin, str):
        plugins.add(getattr(plugin, "__name__", type(plugin).__name__), plugin)
        return
    entries = [entry for entry in installed() if entry.origin.plugin == plugin]
    for entry in entries:
        plugins.load(entry)
    if not entries:
        plugins.add(plugin, import_module(plugin))


def _check_help(word: str, item: type[Transform] | type[Objective]) -> None:
    require((item.__doc__ or "").strip(), f"{word} {item.name!r} has no docstring")
    for option, field in item.model_fields.items():
        require(
            field.description,
            f"option {option!r} of {word} {item.name!r} has no Field(description=…)",
        )


def _check_accepts(importer: type[Importer]) -> None:
    answer = importer().accepts(object())
    require(answer is False, f"importer {importer.name!r} accepts {answer!r} for any object")
