"""The adapters, found by name: `uptime-kuma` is `uptime_kuma.py`. A file here is an adapter; nothing else to edit."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from ingest.adapter import Adapter, adapter_of


def names() -> list[str]:
    """Return the names of all adapters, sorted, as they are written in sources.yaml and in URLs."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


@cache
def load(name: str) -> Adapter:
    """Return the adapter of that name. Raises LookupError, with the nearest name, when there is none."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise LookupError(f"no adapter is called {name!r}: {hint}")
    return adapter_of(name, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
