"""A commit under way: begun now, waited for later.

The drain's own work is Python, and the store's is not: while the store writes and syncs one batch, the drain decides
the next. At most one commit is under way, and the fence makes one that was given up harmless: should it still come
through, whoever goes on from an older cursor is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from triage.store.commit import Cursor

Write: TypeAlias = Callable[[], Cursor]
Launch: TypeAlias = Callable[[Write], Write]
"""Begins a write; what it returns waits for the end, and returns or raises what the write did."""


class Threaded:
    """Begins each write in a thread of its own pool; one that is stuck is left behind, not waited for."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._busy = False

    def __call__(self, write: Write) -> Write:
        """Begin `write`. If the last one was never waited for, its thread is left to itself."""
        if self._pool is None or self._busy:
            if self._pool is not None:
                self._pool.shutdown(wait=False)
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._busy = True
        future = self._pool.submit(write)

        def wait() -> Cursor:
            try:
                return future.result()
            finally:
                self._busy = not future.done()

        return wait
