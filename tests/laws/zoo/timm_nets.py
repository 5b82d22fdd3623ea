"""How entries come from `timm`: a registered name, or a builder of a family, with small options."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tests.conftest import SHARED
from tests.laws.zoo.net import BOTH, Exporter, Net, image

STUB = SHARED / "tools/torchvision_stub.py"


def timm_net(
    name: str,
    variant: str,
    size: int = 64,
    exporters: tuple[Exporter, ...] = BOTH,
    **options: Any,
) -> Net:
    """Return an entry made by ``timm.create_model(variant, num_classes=10, **options)``."""
    make = from_timm("timm:create_model", variant, num_classes=10, **options)
    return Net(name, make, image(size), exporters, needs=("timm",))


def timm_family(
    name: str,
    place: str,
    *given: Any,
    size: int = 64,
    exporters: tuple[Exporter, ...] = BOTH,
    **options: Any,
) -> Net:
    """Return an entry made by a class or builder ``module:name`` below ``timm.models``."""
    make = from_timm(f"timm.models.{place}", *given, num_classes=10, **options)
    return Net(name, make, image(size), exporters, needs=("timm",))


def from_timm(place: str, *given: Any, **options: Any) -> Callable[[], Any]:
    """Return what calls ``module:name`` with the arguments, once timm is imported."""

    def make() -> Any:
        import_timm()
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module), attribute)(*given, **options)

    return make


def timm_models(name: str) -> Any:
    """Return the module ``timm.models.<name>``."""
    import_timm()
    return importlib.import_module(f"timm.models.{name}")


def import_timm() -> ModuleType:
    """Import timm, with a stand-in for torchvision for that long where it is not installed."""
    if "timm" in sys.modules or importlib.util.find_spec("torchvision"):
        return importlib.import_module("timm")
    with _torchvision_stub():
        return importlib.import_module("timm")


@contextmanager
def _torchvision_stub() -> Iterator[None]:
    """Let ``import torchvision`` succeed; forget it afterwards, since others ask for it too."""
    before = list(sys.meta_path)
    spec = importlib.util.spec_from_file_location("torchvision_stub", STUB)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    try:
        yield
    finally:
        sys.meta_path[:] = before
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
