"""The audits by themselves: what counts as late, missing and full, with readings put in by the test."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.unit.workers import http_server
from tocsin import audits
from tocsin.audits import Auditor, Probes, Usage
from tocsin.findings import Reading, State
from tocsin.settings import load
from triage.model import MINUTE, SECOND
from triage.rulebook import compile_files
from triage.store.watching import Report, Signs, Standing, sentences

NOW = 1_767_225_600_000
CALM = Signs(NOW, None, None, None, {"drain": NOW, "deliver": NOW}, [], 0, 0)


def away() -> redis.Redis:
    """Return a client of a store that is not there."""
    return redis.Redis.from_url("unix:///nonexistent/store")


def auditor(tmp_path: Path, memory: Usage | None = None, disk: Usage | None = None, **flags: str) -> Auditor:
    settings = load({"storage_path": str(tmp_path), **flags}, {})
    return Auditor(settings, away(), Probes(lambda: NOW, lambda: memory, lambda _: disk))


def by_name(readings: list[Reading]) -> dict[str, Reading]:
    return {one.audit: one for one in readings}


@pytest.mark.parametrize(
    ("signs", "bad"),
    [
        (CALM, set()),
        (CALM._replace(undecided_ms=MINUTE, timer_at=NOW - MINUTE, effect_at=NOW - 2 * MINUTE), set()),
        (CALM._replace(undecided_ms=MINUTE + 1), {audits.UNDECIDED}),
        (CALM._replace(timer_at=NOW - MINUTE - 1), {audits.TIMERS}),
        (CALM._replace(effect_at=NOW - 2 * MINUTE - 1), {audits.EFFECTS}),
        (CALM._replace(timer_at=NOW + MINUTE, effect_at=NOW + MINUTE), set()),
    ],
)
def test_what_waits_longer_than_the_limit_is_late(signs: Signs, bad: set[str]) -> None:
    found = list(audits.waiting(signs, NOW, MINUTE))
    assert {one.audit for one in found if one.state is State.ILL} == bad
    assert len(found) == 3


def test_late_words_say_for_how_long() -> None:
    (late,) = [one for one in audits.waiting(CALM._replace(timer_at=NOW - 95 * SECOND), NOW, MINUTE) if one.text]
    assert late.text == "the soonest timer has been due for 95 s"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({}, "no drain worker gave a sign of life: nothing is decided; no deliver worker"),
        ({"drain": NOW - 31 * SECOND, "deliver": NOW}, "no drain worker gave a sign of life: nothing is decided."),
        ({"drain": NOW, "deliver": NOW - 30 * SECOND}, ""),
    ],
)
def test_missing_workers_are_named_with_what_follows(seen: dict[str, int], words: str) -> None:
    found = audits.workers(CALM._replace(seen=seen), NOW)
    assert found.text.startswith(words)
    assert found.state is (State.ILL if words else State.WELL)


FULL = {
    "checks.yaml": "checks: {shop: {http: 'https://shop.example.org/'}}",
    "actions.yaml": "actions: {restart: {title: Restart, request: {url: 'https://x/'}}}",
    "metrics.yaml": "prometheus: {main: {url: 'http://prometheus:9090'}}",
}


def test_what_the_rules_name_needs_workers_of_its_own() -> None:
    assert audits.needed(compile_files({})) == audits.ROLES
    assert audits.needed(compile_files(FULL)) == (*audits.ROLES, "probe", "reader", "actor")
    verified = "services: {shop: {verify: [{http: 'https://shop.example.org/'}]}}"
    assert audits.needed(compile_files({"services.yaml": verified})) == (*audits.ROLES, "reader")
    found = audits.workers(CALM, NOW, audits.needed(compile_files(FULL)))
    for words in ("nothing of checks.yaml is looked at", "no metrics are read", "no action is run"):
        assert words in found.text


@pytest.mark.parametrize(
    ("used", "state"), [(81, State.ILL), (80, State.NEAR), (76, State.NEAR), (75, State.WELL), (0, State.WELL)]
)
def test_memory_and_disk_past_the_share_are_findings(tmp_path: Path, used: int, state: State) -> None:
    found = by_name(auditor(tmp_path, memory=(used, 100), disk=(used * 10, 1000)).readings())
    assert (found[audits.MEMORY].state, found[audits.DISK].state) == (state, state)
    if state is State.ILL:
        assert found[audits.DISK].text == f"81 % of the disk that holds {tmp_path} is used; --watch.full is 80"


def test_a_system_that_does_not_say_has_nothing_wrong(tmp_path: Path) -> None:
    found = by_name(auditor(tmp_path).readings())
    assert found[audits.MEMORY].state is State.WELL


def test_with_the_store_away_its_audits_are_unknown_and_the_others_are_made(tmp_path: Path) -> None:
    found = by_name(auditor(tmp_path, disk=(99, 100)).readings())
    assert found[audits.STORE].state is State.ILL
    assert "does not answer" in found[audits.STORE].text
    assert {found[name].state for name in audits.OF_STORE if name != audits.STORE} == {State.UNKNOWN}
    assert found[audits.DISK].state is State.ILL


def test_a_receiver_is_audited_where_one_is_named(tmp_path: Path) -> None:
    assert audits.RECEIVER not in by_name(auditor(tmp_path).readings())
    found = by_name(auditor(tmp_path, watch_receiver="http://127.0.0.1:1").readings())
    assert found[audits.RECEIVER].state is State.ILL
    with http_server.serving(http_server.Provider(501)) as port:
        assert "answers HTTP 501" in audits.fault_of_receiver(f"http://127.0.0.1:{port}")


def test_memory_is_that_of_the_container_where_it_has_a_limit(tmp_path: Path) -> None:
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir()
    cgroup.mkdir()
    (proc / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
    assert audits.machine_memory(proc, cgroup) == (600 * 1024, 1000 * 1024)
    (cgroup / "memory.max").write_text("max\n")
    assert audits.machine_memory(proc, cgroup) == (600 * 1024, 1000 * 1024)
    (cgroup / "memory.max").write_text("500000\n")
    (cgroup / "memory.current").write_text("450000\n")
    (cgroup / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    assert audits.machine_memory(proc, cgroup) == (350_000, 500_000)
    assert audits.machine_memory(tmp_path / "none", cgroup) is None


def test_reports_are_said_in_sentences_and_a_silent_machine_is_one() -> None:
    standing = {"timers": Standing(passed=False, text="late"), "disk": Standing()}
    good = Report(NOW, 15_000, {"disk": Standing()})
    bad = Report(NOW, 15_000, standing, path="contact 1: no")
    assert sentences({"a": good}, NOW) == []
    assert sentences({"b": bad}, NOW) == ["timers: late", "the second path of b does not work: contact 1: no"]
    assert sentences({"a": good}, NOW + 10 * MINUTE) == ["the self-watch of a has said nothing for 600 s"]
