"""`tocsin up` as people use it: it pages, it mends itself, it stops cleanly, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.store.upping import Half, Up, children, command, until
from tocsin import valkey

Start = Callable[..., Up]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start(storage: Path) -> Iterator[Start]:
    """Yield a function that starts `tocsin up` on the test's directory."""
    running: list[Up] = []

    def run(*flags: str, **more: str) -> Up:
        running.append(Up(storage, *flags, **more))
        return running[-1]

    yield run
    for up in running:
        up.close()


def test_an_alert_becomes_a_page_on_the_terminal_and_people_can_act_on_it(start: Start, storage: Path) -> None:
    up = start().ready()
    entry = up.alert("CheckoutDown")
    until("the page is printed", lambda: "P0 CheckoutDown" in up.output)
    listed = command(storage, "incidents")
    assert listed.returncode == 0, listed.stderr
    name = listed.stdout.splitlines()[1].split()[0]
    assert command(storage, "ack", name, "-m", "on it").stdout == f"{name}: admin has it\n"
    asked = command(storage, "resolve", name)
    assert asked.returncode == 1
    assert "still fires" in asked.stderr
    assert "resolved" in command(storage, "resolve", name, "--confirm").stdout
    assert "No open incidents" in command(storage, "incidents").stdout
    shown = command(storage, "incident", "show", name).stdout
    assert "on it" in shown
    assert "checkout down" in command(storage, "why", entry).stdout
    audit = command(storage, "audit", "--replay")
    assert audit.returncode == 0, audit.stdout
    assert "same digest at each" in audit.stdout


def test_a_person_acts_under_their_own_name_once_the_rules_have_their_token(start: Start, storage: Path) -> None:
    up = start().ready()
    made = command(storage, "token", "make", "you")
    oncall = storage / "rules" / "oncall.yaml"
    digest = made.stderr.split()[-1]
    oncall.write_text(oncall.read_text().replace("    name: You\n", f"    name: You\n    token_sha256: {digest}\n"))
    up.alert("CheckoutDown")
    (incident,) = until("it is decided", up.incidents)
    mine = {"TOCSIN_ADMIN_TOKEN": made.stdout.strip()}
    until("the token is in force", lambda: command(storage, "ack", incident["id"], **mine).returncode == 0)
    assert [one["acknowledged_by"] for one in up.incidents()] == ["you"]


def test_what_dies_is_started_again_and_nothing_accepted_is_lost(start: Start) -> None:
    up = start().ready()
    up.alert("First", "payments")
    for words in ("tocsin serve", "--only drain", "valkey-server"):
        victim = up.child(words)
        os.kill(victim, signal.SIGKILL)
        until(f"another {words}", partial(_another, up, words, victim))
    up.ready()
    up.alert("Second", "payments")
    until("both alerts are in one incident", lambda: [one["alerts"]["total"] for one in up.incidents()] == [2])
    assert [one["pages"] for one in up.incidents()] == [1]


def _another(up: Up, words: str, victim: int) -> bool:
    return any(words in line and pid != victim for pid, line in children(up.process.pid).items())


def test_sigterm_stops_everything_in_order_and_the_data_stays(start: Start, storage: Path) -> None:
    up = start().ready()
    up.alert("CheckoutDown")
    family = children(up.process.pid)
    assert up.stop() == 0
    assert [line for pid, line in family.items() if Path(f"/proc/{pid}").exists()] == []
    audit = command(storage, "audit", "--replay")
    assert audit.returncode == 0, audit.stdout
    assert "accepted 1 = decided 1 + undecided 0" in audit.stdout


def test_killing_the_supervisor_leaves_nothing_that_blocks_the_next_start(start: Start) -> None:
    first = start().ready()
    address = urllib.parse.urlsplit(first.url).netloc
    first.alert("CheckoutDown")
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    second = start(address=address).ready()
    assert second.url == first.url
    until(
        "the incident is still there",
        lambda: [one["title"] for one in second.incidents()] == ["CheckoutDown: checkout"],
    )


def test_a_second_one_on_the_same_directory_is_told_who_holds_it(start: Start) -> None:
    first = start().ready()
    second = start()
    assert second.process.wait(60) == 1
    assert f"is in use by process {first.process.pid}" in second.output
    assert first.get("/-/healthy")[0] == 200


def test_an_address_in_use_is_said_with_the_flag(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        up = start(address=f"127.0.0.1:{other.getsockname()[1]}")
        assert up.process.wait(60) == 1
    assert "--web.listen-address" in up.output
    assert "Traceback" not in up.output


def test_beyond_loopback_without_tokens_it_refuses_and_says_what_to_do(start: Start) -> None:
    up = start(address="0.0.0.0:0")
    assert up.process.wait(60) == 2
    assert "token_sha256" in up.output
    assert "Traceback" not in up.output


def test_rules_are_taken_when_they_change_and_refused_whole_when_they_are_wrong(start: Start, storage: Path) -> None:
    up = start().ready()
    rules = storage / "rules" / "severity.yaml"
    before = up.get("/api/v1/rules")[1]["digest"]
    good = rules.read_text()
    rules.write_text(good + "\n# a remark\n")
    after = until("the change is in force", lambda: _digest_other_than(up, before))
    rules.write_text(good.replace("severity: P0", "severity: P9", 1))
    warned = until("it is refused", lambda: up.get("/-/ready")[1]["warnings"])
    assert "severity.yaml:" in warned[0]
    assert up.get("/api/v1/rules")[1]["digest"] == after
    status, said = up.post("/-/reload", {}, token=(storage / "admin.token").read_text().strip())
    assert (status, len(said["errors"])) == (422, 1)
    assert up.post("/-/reload", {})[0] == 401
    rules.write_text(good)
    up.process.send_signal(signal.SIGHUP)
    until("the old rules are back", lambda: up.get("/api/v1/rules")[1]["digest"] == before)
    until("the warning is gone", lambda: not up.get("/-/ready")[1]["warnings"])


def _digest_other_than(up: Up, before: str) -> str:
    found = str(up.get("/api/v1/rules")[1]["digest"])
    return "" if found == before else found


def test_a_store_that_would_lose_events_is_refused_unless_the_loss_is_accepted(
    start: Start, storage: Path, tmp_path: Path
) -> None:
    server = valkey.start(tmp_path / "other")
    try:
        server_client = valkey._ask(server.path, "CONFIG SET appendfsync everysec")
        assert server_client == b"+OK\r\n"
        refused = start("--redis.url", server.url)
        assert refused.process.wait(60) == 2
        assert "appendfsync is everysec" in refused.output
        assert "--accept-data-loss" in refused.output
        up = start("--redis.url", server.url, "--accept-data-loss").ready()
        assert "appendfsync is everysec" in up.get("/-/ready")[1]["accepted_data_loss"][0]
        up.alert("CheckoutDown")
        until("it is decided", up.incidents)
        assert up.stop() == 0
    finally:
        server.stop()


def test_metrics_count_from_the_ledger_and_survive_a_restart(start: Start) -> None:
    up = start().ready()
    up.alert("CheckoutDown")
    counted = 'tocsin_events_total{outcome="opened",reason="new-group"} 1.0'
    until("it is counted", lambda: counted in _metrics(up))
    up.stop()
    again = start().ready()
    assert counted in _metrics(again)
    assert "tocsin_events_accepted_total 1.0" in _metrics(again)


def _metrics(up: Up) -> str:
    import urllib.request

    with urllib.request.urlopen(up.url + "/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_what_cannot_be_read_is_kept_and_can_be_sent_again(start: Start, storage: Path) -> None:
    up = start().ready()
    status, _ = up.post("/v1/events/uptime-kuma", {"alerts": "none"})
    assert status == 400
    listed = command(storage, "dead-letters", "list").stdout
    assert "uptime-kuma" in listed
    entry = listed.split()[0]
    shown = command(storage, "dead-letters", "show", entry)
    assert shown.stdout == '{"alerts": "none"}'
    again = command(storage, "dead-letters", "resend", entry)
    assert again.returncode == 1
    assert "still cannot be read" in again.stderr
    mended = storage / "rules" / "sources.yaml"
    mended.write_text('sources:\n  uptime-kuma: {adapter: generic, mapping: {title: "alerts"}}\n')
    until("the source is mended", lambda: up.post("/v1/events/uptime-kuma", {"alerts": "x"})[0] == 202)
    done = command(storage, "dead-letters", "resend", entry)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("accepted 1, rejected 0")


def test_the_demo_is_one_incident_and_one_page_told_to_its_postmortem(start: Start, storage: Path) -> None:
    from tocsin import settings
    from tocsin.demo import Play
    from tocsin.remote import Remote

    up = start().ready()
    lines: list[str] = []
    found = Play(Remote(settings.load({"storage_path": str(storage)}, {})), lines.append, pace_s=0.1).run()
    assert found["severity"] == "P0"
    assert found["pages"] == 1
    assert up.output.count("Acknowledge: tocsin ack") == 1
    assert "All clear" in up.output
    assert "Changed: deploy of checkout v42" in up.output
    assert up.get("/status.json")[1]["past"][0]["updates"][0]["text"] == "You can pay again. We are sorry."
    postmortem = command(storage, "incident", "postmortem", found["id"]).stdout
    for words in ("rollback version v41", "Was anything deployed in the last hour", "Order migrations and deploys"):
        assert words in postmortem
    assert command(storage, "audit", "--replay").returncode == 0
    assert lines[-5].startswith("all clear")


def test_a_full_store_answers_503_and_decides_what_it_has(start: Start) -> None:
    up = start("--store.max-memory", "1KiB").ready()
    alert = {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-01-01T00:00:00Z"}
    status, said = until(
        "it is found full",
        lambda: _unless_taken(up.post("/v1/events/alertmanager", {"version": "4", "alerts": [alert]})),
    )
    assert status == 503
    assert "--store.max-memory" in str(said)


def _unless_taken(answer: tuple[int, object]) -> tuple[int, object] | None:
    return None if answer[0] == 202 else answer


def test_the_halves_run_apart_and_meet_in_the_store(storage: Path, tmp_path: Path) -> None:
    server = valkey.start(tmp_path / "store")
    rules = tmp_path / "rules"
    assert command(storage, "init", str(rules)).returncode == 0
    common = ("--storage.path", str(storage), "--redis.url", server.url)
    receiver = Half("serve", *common, "--rules.path", str(rules), "--web.listen-address", "127.0.0.1:0")
    worker = Half("work", *common, "--work.deliverers", "1")
    try:
        url = until("it listens", lambda: (storage / "web.url").exists() and (storage / "web.url").read_text().strip())
        sample = tmp_path / "alert.json"
        labels = {"alertname": "CheckoutDown", "service": "checkout"}
        sample.write_text(json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}))
        sent = command(storage, "send", "alertmanager", str(sample), "--url", url)
        assert sent.returncode == 0, sent.stderr
        sample.write_text("no JSON")
        refused = command(storage, "send", "alertmanager", str(sample), "--url", url)
        assert (refused.returncode, "dead-letters" in refused.stderr) == (1, True)
        until("the worker prints the page", lambda: "P0 CheckoutDown" in worker.output)
        assert "ledger holds" in command(storage, "audit", TOCSIN_REDIS_URL=server.url).stdout
    finally:
        codes = [receiver.stop(), worker.stop()]
        receiver.close()
        worker.close()
        server.stop()
    assert codes == [0, 0]
