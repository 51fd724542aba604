"""RQ carries wake-ups: it may lose them, others may plant their own, and neither does any harm."""

from __future__ import annotations

import http.server
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from tests.store.workers_support import NOW, client, commit, effect, results, wait_for
from triage.model import Ending
from triage.store import effects, keys
from triage.store.client import connect
from workers import jobs, run, sweeper

__all__ = ["client"]
RQ = keys.RQ_PREFIX


def burst(client: redis.Redis, name: str) -> None:
    jobs.quiet_rq()
    jobs.Worker(name, client, threading.Event()).work(burst=True, logging_level="CRITICAL")


@pytest.fixture
def done() -> Iterator[list[str]]:
    """Yield what the jobs of this process did."""
    happened: list[str] = []
    before = dict(jobs._work)
    jobs.install(jobs.DRAIN, lambda: happened.append("drain"))
    jobs.install(jobs.DELIVER, lambda: happened.append("deliver"))
    yield happened
    jobs._work.clear()
    jobs._work.update(before)


def plant(client: redis.Redis, name: str, function: str, arguments: list[Any], **fields: str) -> None:
    """Queue a job the way somebody would who can only write to Redis."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    job = {
        "created_at": now,
        "enqueued_at": now,
        "data": zlib.compress(json.dumps([function, None, arguments, {}]).encode()),
        "origin": jobs.DELIVER,
        "status": "queued",
        "description": "x",
        "timeout": 180,
        **fields,
    }
    client.hset(f"{RQ}:job:{name}", mapping=job)  # type: ignore[arg-type]
    client.rpush(f"{RQ}:queue:{jobs.DELIVER}", name)


def test_rq_keeps_to_its_own_keys(client: redis.Redis, done: list[str]) -> None:
    assert jobs.Worker.redis_worker_namespace_prefix.startswith(RQ)
    jobs.enqueue(jobs.DRAIN, client)
    burst(client, jobs.DRAIN)
    found = [key.decode() for key in client.keys("*")]  # type: ignore[union-attr]
    assert [key for key in found if not key.startswith(RQ)] == []
    assert done == ["drain"]


def test_one_wake_up_waits_at_a_time_and_leaves_nothing_behind(client: redis.Redis, done: list[str]) -> None:
    assert jobs.enqueue(jobs.DELIVER, client)
    assert not jobs.enqueue(jobs.DELIVER, client)
    burst(client, jobs.DELIVER)
    assert done == ["deliver"]
    assert client.keys(f"{RQ}:job:*") == []
    assert jobs.enqueue(jobs.DELIVER, client)


def test_many_wakes_make_one_job_until_deliver_looks(client: redis.Redis, done: list[str]) -> None:
    for _ in range(5):
        jobs.wake_deliver(client)
    assert jobs.queue(jobs.DELIVER, client).count == 1
    assert 0 < int(client.pttl(keys.WAKE)) <= jobs.WAKE_MS
    burst(client, jobs.DELIVER)
    client.delete(keys.WAKE)
    jobs.wake_deliver(client)
    burst(client, jobs.DELIVER)
    assert done == ["deliver", "deliver"]


@pytest.mark.parametrize("function", ["os.system", "subprocess.getoutput", "workers.jobs.os.system"])
def test_planted_functions_do_not_run(client: redis.Redis, done: list[str], tmp_path: Path, function: str) -> None:
    plant(client, "evil", function, [f"touch {tmp_path}/pwned"])
    burst(client, jobs.DELIVER)
    assert list(tmp_path.iterdir()) == []


def test_planted_builtins_do_not_run(client: redis.Redis, done: list[str], tmp_path: Path) -> None:
    plant(client, "evil", "eval", [f"open({str(tmp_path / 'pwned')!r}, 'w').close()"])
    burst(client, jobs.DELIVER)
    assert list(tmp_path.iterdir()) == []


def test_a_wake_up_with_arguments_is_refused(client: redis.Redis, done: list[str]) -> None:
    plant(client, "evil", "workers.jobs.deliver_due", ["x"])
    burst(client, jobs.DELIVER)
    assert done == []


@pytest.mark.parametrize("which", ["success", "failure", "stopped"])
def test_planted_callbacks_do_not_run(client: redis.Redis, done: list[str], tmp_path: Path, which: str) -> None:
    # With RQ's own Job, `http.server.test`-like callables would be imported; a marker module shows that none is.
    (tmp_path / "marker_of_tocsin.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w').close()\ndef run(*_): ...\n")
    sys.path.insert(0, str(tmp_path))
    try:
        plant(client, "e", "workers.jobs.deliver_due", [], **{f"{which}_callback_name": "marker_of_tocsin.run"})
        burst(client, jobs.DELIVER)
        job = jobs.WakeUp("e", connection=client, serializer=jobs.queue(jobs.DELIVER, client).serializer)
        assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)
    finally:
        sys.path.remove(str(tmp_path))
    assert not (tmp_path / "pwned").exists()
    assert done == []


def test_the_plain_rq_job_would_have_run_them(client: redis.Redis, tmp_path: Path) -> None:
    """The attack is real: RQ's own classes run the planted job. Without it the tests above could pass for no reason."""
    plant(client, "evil", "os.system", [f"touch {tmp_path}/pwned"])
    ours = jobs.queue(jobs.DELIVER, client)
    queue_class, worker_class = type(ours), jobs.Worker.__bases__[0]
    plain = queue_class(jobs.DELIVER, connection=client, serializer=ours.serializer)
    worker_class([plain], connection=client, serializer=ours.serializer).work(burst=True, logging_level="CRITICAL")
    assert (tmp_path / "pwned").exists()


def test_planted_webhooks_are_not_called(client: redis.Redis, done: list[str]) -> None:
    webhook = json.dumps([{"url": "http://127.0.0.1:1/", "job_status": "failed"}])
    plant(client, "evil", "workers.jobs.deliver_due", ["x"], webhooks=webhook)
    job = jobs.WakeUp.fetch("evil", connection=client, serializer=jobs.queue(jobs.DELIVER, client).serializer)
    assert job.webhooks == []


def test_a_planted_job_does_not_keep_the_next_wake_up_from_running(client: redis.Redis, done: list[str]) -> None:
    plant(client, "evil", "os.getpid", [])
    client.rpush(f"{RQ}:queue:{jobs.DELIVER}", "no-such-job")
    jobs.queue(jobs.DELIVER, client).enqueue_call(func="workers.jobs.deliver_due", result_ttl=0)
    burst(client, jobs.DELIVER)
    assert done == ["deliver"]


def test_the_sweeper_finds_what_lost_its_wake_up(client: redis.Redis) -> None:
    assert sweeper.sweep(client, lambda: NOW) == [jobs.DRAIN]
    client.set(keys.LEASE, "somebody")
    client.delete(f"{RQ}:queue:{jobs.DRAIN}")
    commit(client, effect("a"))
    assert sweeper.sweep(client, lambda: NOW + 900) == []
    assert sweeper.sweep(client, lambda: NOW + 1_000) == [jobs.DELIVER]
    assert sweeper.sweep(client, lambda: NOW + 1_000) == [], "one is waiting already"
    effects.claim(client, NOW, 1, 60_000, "me")
    client.delete(f"{RQ}:queue:{jobs.DELIVER}")
    assert sweeper.sweep(client, lambda: NOW + 1_000) == []


def test_a_process_is_listed_while_it_lives(client: redis.Redis) -> None:
    sweeper.sign_of_life(client, lambda: NOW, "old", "drain")
    sweeper.sign_of_life(client, lambda: NOW + sweeper.FORGET_MS, "b", "deliver")
    assert set(client.hgetall(keys.WORKERS)) == {b"old", b"b"}
    sweeper.sign_of_life(client, lambda: NOW + sweeper.FORGET_MS + 1, "b", "deliver")
    assert client.hgetall(keys.WORKERS) == {b"b": f"{NOW + sweeper.FORGET_MS + 1} deliver".encode()}


class TooLong(Exception):
    """Stands for RQ's time limit."""


class Interrupted:
    """A Drain that RQ's time limit meets in the middle of its second slice."""

    made = 0

    def __init__(self, client: redis.Redis, *_: object) -> None:
        type(self).made += 1
        self.slices = 0
        self.client = client

    def run(self, duration_s: float, stop: Callable[[], bool]) -> None:
        self.slices += 1
        self.client.ping()
        if self.slices == 2:
            raise TooLong("too long")


def test_a_slice_keeps_its_drain_and_drops_it_when_interrupted(
    client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Drain", Interrupted)
    slices = run.Slices(redis_url, lambda: NOW, "d", 1.0, threading.Event())
    slices()
    assert Interrupted.made == 1
    assert jobs.queue(jobs.DRAIN, client).count == 1, "the next slice is queued before this one ends"
    with pytest.raises(TooLong):
        slices()
    slices()
    assert Interrupted.made == 2


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=Path(__file__).parents[2])
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(10)


DELIVERER = "import sys; from workers.run import deliver_process; deliver_process(sys.argv[1], {}.get)"
DRAIN = "import sys; from workers.run import drain_process; drain_process(sys.argv[1])"


def delivered(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_deliverer_survives_the_loss_of_every_rq_key(client: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    with process(DELIVERER, redis_url) as child:
        wait_for(lambda: client.hlen(keys.WORKERS))
        for number in range(4):
            if gone := client.keys(f"{RQ}*"):
                client.delete(*gone)
            commit(client, effect(f"e{number}", target=f"file://{pages}"))
            wait_for(lambda number=number: f"e{number}" in delivered(pages))  # type: ignore[misc]
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    assert delivered(pages) == ["e0", "e1", "e2", "e3"]
    assert [result.effect for result in results(client)] == ["e0", "e1", "e2", "e3"]


def test_a_wake_up_delivers_well_within_the_sweepers_second(
    client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    with process(DELIVERER, redis_url):
        wait_for(lambda: client.hlen(keys.WORKERS))
        took: list[float] = []
        for number in range(9):
            began = time.monotonic()
            commit(client, effect(f"e{number}", target=f"file://{pages}", due=NOW))
            jobs.wake_deliver(client)
            wait_for(lambda number=number: f"e{number}" in delivered(pages))  # type: ignore[misc]
            took.append(time.monotonic() - began)
        # Alone, the sweeper takes half of its second in the middle. A busy machine may be slow now and then.
        assert statistics.median(took) < sweeper.EVERY_S / 3, took


class Slow(http.server.BaseHTTPRequestHandler):
    """A provider that takes half a second."""

    asked = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        time.sleep(0.5)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_sigterm_lets_a_message_on_its_way_arrive_and_be_reported(client: redis.Redis, redis_url: str) -> None:
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=provider.serve_forever)
    thread.start()
    try:
        commit(client, effect("a", target=f"json://127.0.0.1:{provider.server_port}/"))
        with process(DELIVERER, redis_url) as child:
            assert Slow.asked.wait(20)
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0
    finally:
        provider.shutdown()
        thread.join(10)
        provider.server_close()
    assert [(result.effect, result.ending) for result in results(client)] == [("a", Ending.DELIVERED)]


def test_a_drain_notices_sigterm_quickly_and_gives_its_lease_back(client: redis.Redis, redis_url: str) -> None:
    with process(DRAIN, redis_url) as child:
        wait_for(lambda: client.exists(keys.LEASE))
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0
    assert not client.exists(keys.LEASE)


def test_a_killed_drain_is_replaced(client: redis.Redis, redis_url: str) -> None:
    with process(DRAIN, redis_url) as first:
        wait_for(lambda: client.exists(keys.LEASE))
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
    token = client.get(keys.LEASE)
    client.pexpire(keys.LEASE, 200)  # what ten seconds of waiting would do
    with process(DRAIN, redis_url):
        wait_for(lambda: client.get(keys.LEASE) not in {None, token})


def test_a_store_that_comes_back_finds_its_worker_waiting(tmp_path: Path, redis_url: str) -> None:
    with process(DELIVERER, redis_url) as child:
        client = connect(redis_url)
        wait_for(lambda: client.hlen(keys.WORKERS))
        cast("Any", client).execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        commit(client, effect("a", target=f"file://{tmp_path / 'pages'}"))
        wait_for(lambda: delivered(tmp_path / "pages") == ["a"])
        assert child.poll() is None
        client.close()
