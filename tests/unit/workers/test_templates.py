"""The operators' own wording: found by channel and kind, as harmless as ours, never the loss of a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.test_wording import effect
from triage.model import EffectKind
from workers import templates, wording
from workers.channel import Message
from workers.templates import Templates
from workers.wording import LINE_MAX, TEXT_MAX

SHIPPED = Path(__file__).parents[3] / "rules" / "templates"
HERE = "https://tocsin.example.org"


def worded(files: dict[str, str], target: str = "x://y", **facts: str) -> tuple[Message, str]:
    one = effect()
    one.facts |= facts
    one.title, one.target = facts.get("title", one.title), target
    return wording.worded(one, HERE, False, b"s", Templates(files))


@pytest.mark.parametrize("kind", templates.KINDS)
def test_the_shipped_templates_say_what_is_built_in(kind: str) -> None:
    shipped = {f"templates/{file.name}": file.read_text() for file in SHIPPED.glob("*.txt")}
    assert templates.check(shipped) == []
    every = {"late": "45 min", "text": "a\nb", "labels": "pod=1", "acked_by": "ben", "changed": "x", "flapping": "y"}
    for more in ({}, every):
        one = effect(EffectKind(kind))
        one.facts |= more
        if kind == EffectKind.OPERATOR:
            one.facts, one.incident = {"text": one.facts.get("text", "some")}, ""
        made, remark = wording.worded(one, HERE, True, b"s", Templates(shipped))
        assert remark == ""
        assert made == wording.message(one, HERE, True, b"s")


def test_the_channel_s_own_template_goes_before_the_default_one() -> None:
    files = {
        "templates/default.page.txt": "{{ severity }} default",
        "templates/mailto.page.txt": "mail about {{ service }}\n\n{{ acknowledge }}\n\nyours",
        "templates/ntfys.page.txt": "{{ title }} on ntfys",
        "templates/default.operator.txt": "not for pages",
    }
    assert worded(files, "mailtos://x")[0].title == "mail about checkout"
    assert worded(files, "mailto://x")[0].body.splitlines()[1:] == ["", "yours", "", "Message page-1"]
    assert worded(files, "ntfys://x")[0].title == "checkout down on ntfys"
    assert worded(files, "ntfy://x")[0].title == "P0 default"
    assert worded(files, "sms://x")[0].body == "\nMessage page-1"


def test_a_template_that_fails_falls_back_to_the_built_in_words_and_says_where() -> None:
    made, remark = worded({"templates/default.page.txt": "fine\n{{ title.nothing }}"})
    assert made.body.startswith("Acknowledge: tap ")
    assert made.title == "P0 checkout down"
    assert remark.startswith("the built-in wording was used, since a template failed: templates/default.page.txt:2: ")


def test_a_template_that_is_refused_here_is_as_if_it_were_not_there() -> None:
    made, remark = worded({"templates/default.page.txt": "{{ title.upper() }}"})
    assert (made.title, remark) == ("P0 checkout down", "")


@pytest.mark.parametrize(
    "source",
    [
        "{{ title|replace(' ', '') }}\n{{ title|replace(' ', '') }}",
        "<!channel> @here\n<!channel> @everyone [a](https://evil.example)",
        "{{ '<' ~ '!channel>' }}\n{{ '@' ~ 'here' }}",
    ],
)
def test_no_template_can_put_together_what_wakes_everybody(source: str) -> None:
    made, _ = worded({"templates/default.page.txt": source}, title="<! channel> @ here [a] (https://evil.example)")
    for text in (made.title, made.body):
        assert "<!" not in text
        assert "@here" not in text
        assert "@everyone" not in text
        assert "](" not in text


@given(st.text(max_size=3_000))
def test_whatever_alerts_say_a_templated_message_is_bounded_and_keeps_its_id(text: str) -> None:
    files = {"templates/default.page.txt": "{{ title }}\n{{ text }}{{ text }}\n{{ service }}"}
    made, _ = worded(files, title=text, service=text, text=text)
    assert made.body.splitlines()[-1] == "Message page-1"
    assert len(made.body) <= TEXT_MAX + 200
    assert all(len(line) <= LINE_MAX for line in made.body.splitlines())


def test_faults_are_found_with_their_place_and_names_that_mean_nothing() -> None:
    found = templates.check(
        {
            "templates/default.page.txt": "{{ titel }}",
            "templates/mailto.pages.txt": "{{ title }}",
            "templates/ntfy.page.txt": "{{ title }}",
            "templates/status.md": "{{ nothing }}",
            "templates/updates/public.txt": "{{ nothing }}",
            "severity.yaml": "{{ nothing }}",
        }
    )
    assert [str(one) for one in found] == [
        'templates/default.page.txt:1:4: there is no value “titel” (did you mean "title"?)',
        "templates/mailto.pages.txt:1:1: no message is of the kind “pages”: this file is not used "
        '(did you mean "page"?)',
        "templates/ntfy.page.txt:1:1: a page by this template does not say how to acknowledge "
        "(begin the text with {{ acknowledge }})",
    ]
    assert [one.severity for one in found] == ["error", "warning", "warning"]
