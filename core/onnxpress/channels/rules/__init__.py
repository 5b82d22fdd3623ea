"""Channel flow, operator by operator, in one file per family.

Every file of this folder is imported, and registers its rules in the table.
"""

from importlib import import_module
from pkgutil import iter_modules

from onnxpress.channels.table import CHANNEL_FLOW

__all__ = ["CHANNEL_FLOW"]

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
