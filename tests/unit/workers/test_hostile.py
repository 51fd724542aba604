"""Every hostile text in every field of a message: as mail it has our tags only, on a terminal it stays in its frame."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from typing import Final

import pytest

from tests.hostile import TEXTS
from triage.model import Effect, EffectKind, Severity
from workers.channel import Message
from workers.channels import mailto, terminal
from workers.wording import message

DRIVES: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
MENTIONS: Final = re.compile(r"<[!@#]|<https?:|@(here|channel|everyone)\b")
FIELDS: Final = ("title", "service", "why", "runbook", "phase", "changed", "impact", "text", "by", "summary")


class Tags(HTMLParser):
    """The tags and links of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


def assert_ours_only(made: Message) -> None:
    """A mail has our headers, our tags and our links."""
    mail = mailto.read("mailto://127.0.0.1:25?from=tocsin@example.org&to=ana@example.org")
    letter = message_from_bytes(mailto.compose(mail, made), policy=default)
    assert (str(letter["To"]), letter.get_all("Bcc")) == ("ana@example.org", None)
    html = letter.get_body(("html",))
    assert html is not None
    found = Tags(html.get_content())
    assert found.tags <= {"html", "body", "p", "strong", "a", "pre"}
    assert all(link.startswith("https://") for link in found.links), found.links


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("kind", [EffectKind.PAGE, EffectKind.OPERATOR, EffectKind.DOCUMENT, EffectKind.POST])
def test_a_message_is_nothing_but_its_words(kind: EffectKind, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    facts = dict.fromkeys(FIELDS, text) | {"severity": "P0", "incident": "abc234", "since": "1700000000000"}
    effect = Effect("page-1", kind, "abc234full", "ada", "x://y", text, facts, 0, 0, 0, severity=Severity.P0)
    made = message(effect, "https://tocsin.example.org")
    assert DRIVES.findall(made.title + made.body) == []
    assert "\n" not in made.title
    assert MENTIONS.findall(made.title + made.body) == []
    assert kind is EffectKind.DOCUMENT or "](" not in made.title + made.body, "only a document is Markdown"
    assert_ours_only(made)
    terminal.send("terminal://", made)
    assert DRIVES.findall(capsys.readouterr().out) == []


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_mail_holds_even_what_was_not_made_harmless_before(text: str) -> None:
    assert_ours_only(Message("page1", EffectKind.PAGE, text, text, Severity.P0, url=text, incident=text, number=text))
