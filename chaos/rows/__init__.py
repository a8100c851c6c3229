"""The rows, by what the fault is done to."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from chaos.row import Row


def every() -> list[Row]:
    """All rows, by id."""
    modules = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    found = [each for module in modules for each in vars(module).values() if isinstance(each, Row)]
    return sorted(found, key=lambda each: each.id)
