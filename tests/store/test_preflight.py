"""A store that would lose accepted events is refused, by name of the setting and with its remedy."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tocsin import valkey
from triage.store import preflight
from triage.store.client import connect

GOOD = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
Start = Callable[..., redis.Redis]


def program(name: str) -> Path:
    return Path(shutil.which(name) or name) if name == "redis-server" else valkey.find_program().path


@pytest.fixture(params=["valkey", pytest.param("redis-server", marks=pytest.mark.needs("redis-server"))])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Yield a function that starts a server with some configuration and returns a client."""
    executable = str(program(request.param))
    running: list[subprocess.Popen[bytes]] = []
    clients: list[redis.Redis] = []

    def run(*options: str, url: str = "") -> redis.Redis:
        number = len(running)
        folder = tmp_path / str(number)
        folder.mkdir()
        path = valkey.socket_directory() / f"p{tmp_path.stat().st_ino}-{number}"
        command = [executable, "--port", "0", "--unixsocket", str(path), "--dir", str(folder), *options]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        client = connect(url or f"unix://{path}")
        clients.append(client)
        end = time.monotonic() + 20
        while True:
            try:
                client.ping()
            except redis.AuthenticationError:
                break
            except redis.RedisError:
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.01)
            else:
                break
        return client

    yield run
    for client in clients:
        client.close()
    for process in running:
        process.terminate()
        process.wait(20)


def names(found: list[preflight.Refusal]) -> set[str]:
    assert all(one.why and one.remedy for one in found)
    return {one.setting for one in found}


def test_a_store_that_writes_before_it_answers_is_taken(start: Start) -> None:
    assert preflight.inspect(start(*GOOD)) == []


def test_the_defaults_of_a_fresh_server_are_refused(start: Start) -> None:
    found = preflight.inspect(start())
    assert names(found) == {"appendonly", "appendfsync"}
    assert "appendfsync is everysec" in " ".join(map(str, found))


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (("--appendfsync", "everysec"), "appendfsync"),
        (("--appendfsync", "no"), "appendfsync"),
        (("--appendonly", "no"), "appendonly"),
        (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy"),
        (("--maxmemory-policy", "volatile-ttl"), "maxmemory-policy"),
        (("--no-appendfsync-on-rewrite", "yes"), "no-appendfsync-on-rewrite"),
        (("--cluster-enabled", "yes"), "the server's mode"),
    ],
)
def test_each_setting_that_loses_events_is_named(start: Start, options: tuple[str, str], setting: str) -> None:
    found = preflight.inspect(start(*GOOD, *options))
    assert names(found) == {setting}
    assert str(found[0]).startswith(f"{setting} is ")


def test_the_remedy_it_names_is_one(start: Start) -> None:
    client = start()
    client.config_set("appendonly", "yes")
    client.config_set("appendfsync", "always")
    end = time.monotonic() + 20
    while client.info("persistence")["aof_rewrite_in_progress"]:  # until then the server refuses to stop
        assert time.monotonic() < end
        time.sleep(0.01)
    assert preflight.inspect(client) == []


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_replica_is_refused_and_so_is_a_primary_with_one(start: Start) -> None:
    port = free_port()
    primary = start(*GOOD, "--port", str(port))
    replica = start(*GOOD, "--replicaof", f"127.0.0.1 {port}", "--repl-diskless-sync-delay", "0")
    end = time.monotonic() + 20
    while "connected replicas" not in names(preflight.inspect(primary)):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert names(preflight.inspect(primary)) == {"connected replicas"}
    assert "the server's role" in names(preflight.inspect(replica))


def test_when_config_is_denied_it_says_what_it_cannot_check(start: Start) -> None:
    client = start(*GOOD)
    client.acl_setuser("app", enabled=True, nopass=True, categories=["+@all"], commands=["-config"], keys=["*"])
    limited = connect(f"unix://{client.connection_pool.connection_kwargs['path']}?username=app&password=x")
    found = preflight.inspect(limited)
    limited.close()
    assert names(found) == {"CONFIG GET"}
    assert "--accept-data-loss" in found[0].remedy


def test_when_config_is_denied_a_missing_file_is_still_seen(start: Start) -> None:
    client = start()
    client.acl_setuser("app", enabled=True, nopass=True, categories=["+@all"], commands=["-config"], keys=["*"])
    limited = connect(f"unix://{client.connection_pool.connection_kwargs['path']}?username=app&password=x")
    assert names(preflight.inspect(limited)) == {"CONFIG GET", "appendonly"}
    limited.close()


def own_address() -> str:
    """Return an address of this machine that is not loopback, or "" when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(one.getsockname()[0])


def test_a_remote_store_without_a_password_is_refused(start: Start) -> None:
    address = own_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has loopback only")
    port = free_port()
    open_one = start(*GOOD, "--port", str(port), "--bind", address, "--protected-mode", "no")
    remote = connect(f"redis://{address}:{port}/0")
    assert names(preflight.inspect(remote)) == {"authentication"}
    remote.close()
    open_one.config_set("requirepass", "s3cret")
    known = connect(f"redis://:s3cret@{address}:{port}/0")
    assert preflight.inspect(known) == []
    known.close()


def test_a_sentinel_holds_no_data() -> None:
    info = {"redis_mode": "sentinel", "role": "sentinel"}
    assert names(preflight._topology(info)) == {"the server's mode"}


def test_an_old_server_is_refused() -> None:
    assert names(preflight._version({"redis_version": "6.2.14"})) == {"the server's version"}
    assert names(preflight._version({})) == {"the server's version"}
    assert preflight._version({"redis_version": "7.2.4", "valkey_version": "8.0.1"}) == []
