"""The second path: faults with file and line, secrets that never show, and every method used at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.workers import http_server, smtp_server
from tests.unit.workers.http_server import Provider
from tests.unit.workers.smtp_server import Mailbox
from tocsin import starting
from tocsin.second_path import SecondPath, every
from triage.model import HOUR, Ending, Severity
from workers import outbound
from workers.channel import Delivery, Message


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second path reach this machine, as `tocsin watch` does."""
    monkeypatch.setattr(outbound, "_allowed", ())
    outbound.allow(["127.0.0.0/8"])


def path_of(folder: Path, text: str, **secrets: str) -> SecondPath:
    file = folder / "second-path.yaml"
    file.write_text(text)
    path = SecondPath(file, lambda name: secrets.get(name))
    path.look()
    return path


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("contact: []\ncontacts: []\n", '2:1: unknown key "contacts" (did you mean "contact"?)'),
        ("contact:\n  - mailto\n", "2:5: this is no contact method"),
        ("contact:\n  - 'mailtos://u:hunter2@h?to=a@b.c'\n", "2:5: a literal secret stands in this URL"),
        ("contact:\n  - 'webhook+https://h/p#${HOOK}'\n", "2:5: the secret HOOK is not set (set the variable HOOK,"),
        ("contact: [terminal://]\ntest_every: 5\n", "2:13: test_every: expected a duration"),
        ("contact: [terminal://\n", "not YAML"),
        ("- terminal://\n", "1:1:"),
    ],
)
def test_a_fault_names_file_line_and_remedy(tmp_path: Path, text: str, fault: str) -> None:
    path = path_of(tmp_path, text)
    assert len(path.faults) == 1
    assert path.faults[0].startswith(str(tmp_path / "second-path.yaml"))
    assert fault in path.faults[0]
    assert "hunter2" not in path.trouble
    assert path.trouble == path.faults[0]


def test_what_init_writes_and_no_file_at_all_are_no_faults(tmp_path: Path) -> None:
    (written,) = starting.write_second_path(tmp_path).wrote
    text = written.read_text()
    assert starting.write_second_path(tmp_path).kept == [written]
    for path in (path_of(tmp_path, text), SecondPath(tmp_path / "none", lambda _: None)):
        path.look()
        assert (path.trouble, path.file.contact, every(path.file)) == ("", [], None)
    examples = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# ", "#  ")))
    asked = path_of(tmp_path, examples.partition("message.\n")[2], WATCH_MAIL_PASSWORD="a", WATCH_NTFY_TOKEN="b")
    assert asked.faults == []
    assert (len(asked.file.contact), every(asked.file)) == (2, 24 * HOUR)


def test_a_broken_change_keeps_the_last_good_file(tmp_path: Path) -> None:
    path = path_of(tmp_path, "contact: ['terminal://']\n")
    (tmp_path / "second-path.yaml").write_text("contact: [")
    path.look()
    assert path.faults
    assert path.file.contact == ["terminal://"]


@pytest.mark.usefixtures("reachable")
def test_mail_and_webhook_both_arrive(tmp_path: Path) -> None:
    mailbox, provider = Mailbox(), Provider()
    with smtp_server.serving(mailbox) as smtp, http_server.serving(provider) as http:
        path = path_of(
            tmp_path,
            f"contact:\n  - 'mailto://127.0.0.1:{smtp}?mode=insecure&from=tocsin@a.org&to=ops@b.org'\n"
            f"  - 'webhook+http://127.0.0.1:{http}/hook#${{HOOK}}'\n",
            HOOK="s3cret-of-the-hook",
        )
        assert path.tell("Tocsin is in trouble: store", "store: it does not answer") == []
    assert path.trouble == ""
    ((to, mail),) = mailbox.got
    assert to == ["ops@b.org"]
    assert "Tocsin is in trouble: store" in str(mail["Subject"])
    ((_, headers, body),) = provider.got
    assert headers["webhook-signature"].startswith("v1,")
    assert b"it does not answer" in body


class Scripted:
    """A channel that answers by the text of its target."""

    def send(self, target: str, message: Message) -> Delivery:
        if "explodes" in target:
            raise RuntimeError(f"no {target}")
        bad = "refuses" in target
        return Delivery(Ending.GIVE_UP if bad else Ending.DELIVERED, f"refused {target}" if bad else "")


@pytest.mark.parametrize(
    ("methods", "faults", "all_of_it"),
    [
        ("['t://fine', 't://refuses']", ["contact 2: refused t://refuses"], False),
        ("['t://explodes', 't://refuses/${KEY}']", ["no t://explodes", "refused t://refuses/***"], True),
    ],
)
def test_one_method_is_enough_and_every_fault_is_said_without_secrets(
    tmp_path: Path, methods: str, faults: list[str], all_of_it: bool
) -> None:
    file = tmp_path / "second-path.yaml"
    file.write_text(f"contact: {methods}\n")
    path = SecondPath(file, lambda _: "very-secret-key", {"t": Scripted()})
    path.look()
    found = path.tell("title", "body", Severity.P4)
    assert len(found) == len(faults)
    assert all(fault in text for fault, text in zip(faults, found, strict=True))
    assert "very-secret-key" not in "".join(found)
    assert bool(path.trouble) is all_of_it
