"""A way to the store on which replies get lost: the store did what it was asked, and nobody hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Passes connections on to a store's unix socket. `lose` cuts the next one that asks for something certain."""

    def __init__(self, path: str) -> None:
        self.lost = 0
        self._path = path
        self._marker = b""
        self._skip = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def lose(self, marker: bytes) -> None:
        """Lose the reply to the next request that holds `marker`."""
        with self._lock:
            self._marker = marker

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                store = socket.socket(socket.AF_UNIX)
                store.connect(self._path)
                self._open += [client, store]
                thread = threading.Thread(target=self._serve, args=(client, store))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket, store: socket.socket) -> None:
        """Request by request: all that a client sends at once gets all that the store answers."""
        cut = threading.Event()
        back = threading.Thread(target=self._pass_back, args=(store, client, cut))
        back.start()
        with contextlib.suppress(OSError):
            while asked := client.recv(1 << 20):
                if self._is_to_be_lost(asked):
                    cut.set()
                store.sendall(asked)
        with contextlib.suppress(OSError):
            store.shutdown(socket.SHUT_RDWR)
        back.join(10)

    def _pass_back(self, store: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while told := store.recv(1 << 20):
                if cut.is_set():
                    self.lost += 1
                    break
                client.sendall(told)
        for one in (client, store):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _is_to_be_lost(self, asked: bytes) -> bool:
        with self._lock:
            if not self._marker or self._marker not in asked:
                return False
            self._marker = b""
            return True


@contextlib.contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """Yield a proxy to the store at a `unix://` URL."""
    proxy = Proxy(url.removeprefix("unix://"))
    try:
        yield proxy
    finally:
        proxy.close()
