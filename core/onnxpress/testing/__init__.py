"""The public test kit: what a plugin promises, as checks that raise `AssertionError`.

Our own plugins are tested with it.  It needs no test framework::

    from onnxpress.testing import check_plugin, check_transform, small_classifier


    def test_the_plugin_keeps_the_contract() -> None:
        check_plugin("acme")


    def test_shout_keeps_the_laws_of_a_transform() -> None:
        check_transform(Shout(times=2), small_classifier())
"""

from onnxpress.testing.gradients import check_gradient
from onnxpress.testing.importers import check_importer
from onnxpress.testing.models import model_from_text, small_classifier
from onnxpress.testing.plugins import check_plugin
from onnxpress.testing.runtimes import check_runtime
from onnxpress.testing.transforms import check_transform

__all__ = [
    "check_gradient",
    "check_importer",
    "check_plugin",
    "check_runtime",
    "check_transform",
    "model_from_text",
    "small_classifier",
]
