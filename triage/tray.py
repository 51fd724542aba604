"""What is remembered for the next digest."""

from __future__ import annotations

import msgspec


class Tray(msgspec.Struct, array_like=True, gc=False):
    """The incidents of the next digest, by key in the order of their coming, and how many more there were."""

    items: tuple[str, ...] = ()
    more: int = 0
