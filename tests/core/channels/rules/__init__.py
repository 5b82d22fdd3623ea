"""Cases for channel-flow rules, one file for each file of rules; importing this registers them."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
