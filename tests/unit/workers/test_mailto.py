"""E-mail of our own, to a real SMTP server: threads, answers for now and for good, TLS, and no header from an alert."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.smtp_server import Mailbox, free_port, serving, tls
from triage.model import EffectKind, Ending, Severity
from workers.channel import Message, choose, load
from workers.channels import mailto
from workers.channels.mailto import read, send

PAGE = Message(
    id="page1",
    kind=EffectKind.PAGE,
    title="P0 Checkout down",
    body="Acknowledge: tap 47 at https://tocsin.example.org/a/xyz or tocsin ack abc234\n.\nService: Zürich <b>",
    severity=Severity.P0,
    url="https://tocsin.example.org/incidents/abc234",
    incident="abc234full",
    answer_url="https://tocsin.example.org/a/xyz",
    number="47",
)
FROM_TO = "from=tocsin@example.org&to=ana@example.org"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    with serving(mailbox) as port:
        yield port


def text_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text


def test_a_page_arrives_with_its_words_as_text_and_as_html(mailbox: Mailbox, port: int) -> None:
    assert send(f"mailto://127.0.0.1:{port}?{FROM_TO}", PAGE).ending is Ending.DELIVERED
    [(recipients, mail)] = mailbox.got
    assert recipients == ["ana@example.org"]
    assert (mail["Subject"], mail["From"], mail["To"]) == (
        "P0 Checkout down",
        "Tocsin <tocsin@example.org>",
        "ana@example.org",
    )
    assert text_of(mail, "plain").replace("\r\n", "\n") == PAGE.body + "\n"
    html = text_of(mail, "html")
    assert '<a href="https://tocsin.example.org/a/xyz">acknowledge</a>' in html
    assert "Tap <strong>47</strong> here" in html
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert (mail["Importance"], mail["Auto-Submitted"]) == ("high", "auto-generated")


def test_messages_of_one_incident_are_one_thread_and_a_second_copy_has_the_same_id(mailbox: Mailbox, port: int) -> None:
    target = f"mailto://127.0.0.1:{port}?{FROM_TO}"
    note = Message("note2", EffectKind.NOTIFICATION, "All clear", "It is over.", Severity.P0, incident="abc234full")
    other = Message("page3", EffectKind.PAGE, "P1 Other", "x", Severity.P1, incident="other")
    for message in (PAGE, PAGE, note, other, Message("op4", EffectKind.OPERATOR, "care", "x", Severity.P4)):
        send(target, message)
    mails = [mail for _, mail in mailbox.got]
    ids = [
        "<page1@example.org>",
        "<page1@example.org>",
        "<note2@example.org>",
        "<page3@example.org>",
        "<op4@example.org>",
    ]
    assert [mail["Message-ID"] for mail in mails] == ids
    thread = "<incident.abc234full@example.org>"
    assert [mail["References"] for mail in mails] == [thread] * 3 + ["<incident.other@example.org>", None]
    assert [mail["In-Reply-To"] for mail in mails[:3]] == [thread] * 3
    assert mails[2]["Importance"] is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_in_a_message_becomes_a_header(title: str, word: str) -> None:
    hostile = f"{title}\r\nBcc: eve@evil.example\nX: {word}\x00"
    mail = read(f"mailto://mail.example.org?{FROM_TO}")
    hostile = hostile.encode("utf-8", "replace").decode()
    made = mailto.compose(mail, Message(hostile, EffectKind.PAGE, hostile, hostile, Severity.P0, incident=hostile))
    names = [name.lower() for name in message_from_bytes(made)]
    assert "bcc" not in names
    assert "x" not in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "to",
    [
        "ana%0d%0aBcc:eve@evil.example",
        "ana@example.org%0d%0aRCPT%20TO:<eve@evil.example>",
        "ana@",
        "<ana@x.org>",
        "a b@x.org",
    ],
)
def test_an_address_that_is_none_is_not_used(mailbox: Mailbox, port: int, to: str) -> None:
    ended = send(f"mailto://127.0.0.1:{port}?from=tocsin@example.org&to={to}", PAGE)
    assert ended.ending is Ending.GIVE_UP
    assert "is no mail address" in ended.reason
    assert mailbox.got == []


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ("451 try later", Ending.TRY_AGAIN),
        ("452 full", Ending.TRY_AGAIN),
        ("421 closing", Ending.TRY_AGAIN),
        ("550 no", Ending.GIVE_UP),
        ("552 too large", Ending.GIVE_UP),
        ("554 spam", Ending.GIVE_UP),
    ],
)
def test_four_is_for_now_and_five_for_good(mailbox: Mailbox, port: int, answer: str, ending: Ending) -> None:
    mailbox.answer = answer
    ended = send(f"mailto://127.0.0.1:{port}?{FROM_TO}", PAGE)
    assert (ended.ending, ended.reason, ended.ambiguous) == (ending, f"SMTP {answer[:3]}: {answer[4:]}", False)


def test_recipients_are_answered_for_one_by_one(mailbox: Mailbox, port: int) -> None:
    target = f"mailto://127.0.0.1:{port}?from=tocsin@example.org&to=ana@example.org,ben@example.org"
    mailbox.refuses = {"ben@example.org": "550 unknown"}
    assert send(target, PAGE).reason == "the mail server took it; 1 of 2 recipients were refused"
    mailbox.refuses["ana@example.org"] = "450 greylisted"
    ended = send(target, PAGE)
    assert (ended.ending, ended.reason) == (Ending.TRY_AGAIN, "SMTP 450: greylisted")
    mailbox.refuses["ana@example.org"] = "551 moved"
    assert send(target, PAGE).ending is Ending.GIVE_UP
    assert len(mailbox.got) == 1


def test_nobody_there_is_not_sent_and_safe_to_repeat() -> None:
    ended = send(f"mailto://127.0.0.1:{free_port()}?{FROM_TO}", PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, False)
    assert ended.reason == "the mail server refused the connection"


def test_no_answer_after_the_message_may_have_been_taken(
    mailbox: Mailbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailto, "TIMEOUT_S", 0.3)
    mailbox.sleeps = 1
    ended = send(f"mailto://127.0.0.1:{port}?{FROM_TO}", PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, True)
    assert len(mailbox.got) == 1


def test_a_server_that_hangs_up_after_the_message_may_have_taken_it(mailbox: Mailbox, port: int) -> None:
    mailbox.cuts = True
    ended = send(f"mailto://127.0.0.1:{port}?{FROM_TO}", PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, True)


def test_tls_and_the_password_inside_it(mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(mailbox, tls_context=tls(tmp_path), authenticator=mailbox.login) as port:
        target = f"mailtos://tocsin:right@127.0.0.1:{port}?{FROM_TO}"
        ended = send(target, PAGE)
        assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, False)
        assert "certificate was not accepted" in ended.reason
        assert mailbox.logins == []
        assert send(target + "&verify=no", PAGE).ending is Ending.DELIVERED
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert send(target, PAGE).ending is Ending.DELIVERED
        wrong = send(target.replace("right", "wrong"), PAGE)
        assert (wrong.ending, wrong.reason[:9]) == (Ending.GIVE_UP, "SMTP 535:")
        assert "wrong" not in wrong.reason
    assert mailbox.secure == [True, True]
    assert mailbox.logins[0] == (b"tocsin", b"right", True)


def test_tls_is_taken_when_offered_and_demanded_when_written(mailbox: Mailbox, tmp_path: Path) -> None:
    with serving(mailbox, tls_context=tls(tmp_path)) as port:
        assert send(f"mailto://127.0.0.1:{port}?{FROM_TO}", PAGE).ending is Ending.DELIVERED
        assert send(f"mailto://127.0.0.1:{port}?{FROM_TO}&mode=insecure", PAGE).ending is Ending.DELIVERED
    with serving(mailbox) as port:
        ended = send(f"mailtos://127.0.0.1:{port}?{FROM_TO}", PAGE)
        assert (ended.ending, "STARTTLS" in ended.reason) == (Ending.GIVE_UP, True)
        ended = send(f"mailto://tocsin:right@127.0.0.1:{port}?{FROM_TO}", PAGE)
        assert (ended.ending, "password would be read" in ended.reason) == (Ending.GIVE_UP, True)
    assert mailbox.secure == [True, False]


def test_tls_from_the_start(mailbox: Mailbox, tmp_path: Path) -> None:
    with serving(mailbox, ssl_context=tls(tmp_path)) as port:
        assert send(f"mailtos://127.0.0.1:{port}?{FROM_TO}&mode=ssl&verify=no", PAGE).ending is Ending.DELIVERED
    assert len(mailbox.got) == 1


def test_what_can_be_written() -> None:
    mail = read("mailtos://tocsin:p%40ss@mail.example.org?to=ana+page@example.org&name=Alarm%20bell")
    assert (mail.host, mail.port, mail.mode, mail.user, mail.password) == (
        *("mail.example.org", 587, "starttls", "tocsin", "p@ss"),
    )
    assert (mail.sender, mail.name, mail.recipients) == (
        "tocsin@mail.example.org",
        "Alarm bell",
        ("ana+page@example.org",),
    )
    assert read("mailtos://ana:pw@gmail.com").recipients == ("ana@gmail.com",)
    assert (read("mailtos://ana:pw@gmail.com").host, read("mailtos://ana:pw@gmail.com").user) == (
        *("smtp.gmail.com", "ana@gmail.com"),
    )
    assert read("mailtos://mail.example.org?mode=ssl").port == 465
    assert read("mailto://relay.example.org/ana@example.org/ben@example.org").recipients == (
        *("ana@example.org", "ben@example.org"),
    )
    assert read("mailto://relay.example.org?to=ana@bücher.example").recipients == ("ana@xn--bcher-kva.example",)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mailto://127.0.0.1?to=ana@example.org", "add from="),
        ("mailto://mail.example.org:port?to=ana@example.org", "malformed"),
        ("mailto://mail.example.org?mode=tls", "mode=tls of a mailto:// is none of"),
        ("mailto://?from=a@example.org", "needs the mail server's name"),
    ],
)
def test_what_cannot_is_said_in_words(target: str, words: str) -> None:
    ended = send(target, PAGE)
    assert (ended.ending, words in ended.reason) == (Ending.GIVE_UP, True), ended.reason


def test_both_schemes_are_ours() -> None:
    known = load()
    assert {choose(known, f"{scheme}://x").__name__ for scheme in ("mailto", "mailtos")} == {"workers.channels.mailto"}  # type: ignore[attr-defined]
