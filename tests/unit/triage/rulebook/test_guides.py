"""Runbooks and procedures are read as people mean them; what a label holds stays a word, or stays out."""

from __future__ import annotations

import shlex
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.model import Phase
from triage.rulebook import guides

TEXT = """# Disk full

A word before.

## Symptoms

Writes to `{{ mountpoint }}` of {{ instance }} fail.

## Mitigation

- [ ] Find what is large:
      it is often a log.

  ```sh
  ssh {{ instance }} du -x {{ mountpoint }}
  - [ ] this is output, no step
  ```

- [x] Remove it
* [ ] Remove it

Between.

### Nothing large?

- [ ] Remove it

## Resolution
"""


def test_sections_steps_and_what_stands_between() -> None:
    document = guides.parse("runbooks/disk.md", TEXT)
    assert document.title == "Disk full"
    assert [section.name for section in document.sections] == ["", "Symptoms", "Mitigation", "Resolution"]
    steps = [part for _, part in document.steps()]
    assert [step.text.splitlines()[0] for step in steps] == ["Find what is large:", *["Remove it"] * 3]
    assert "```sh\nssh {{ instance }}" in steps[0].text
    assert guides.words_of(steps[0]) == "Find what is large: it is often a log."
    assert len({step.step for step in steps}) == 4
    between = [part.text for part in document.sections[2].parts if not part.step]
    assert between == ["Between.", "### Nothing large?"]
    assert guides.missing_sections(document) == ["Investigation", "Resolution"]


def test_the_id_of_a_step_stays_while_others_are_edited() -> None:
    before = {part.text: part.step for _, part in guides.parse("a.md", "- [ ] one\n- [ ] two\n").steps()}
    after = {part.text: part.step for _, part in guides.parse("a.md", "- [ ] zero\n- [x] two\n- [ ] one\n").steps()}
    assert before.items() <= after.items()
    assert before["one"] != next(guides.parse("b.md", "- [ ] one\n").steps())[1].step


def test_a_file_without_anything_is_a_document_all_the_same() -> None:
    document = guides.parse("runbooks/empty.md", "")
    assert (document.title, [*document.steps()]) == ("empty", [])
    assert [*guides.parse("x.md", "```\n- [ ] no end").steps()] == []


@pytest.mark.parametrize(
    ("phase", "path"),
    [
        (Phase.DETECTED, "procedures/1-detect.md"),
        (Phase.MONITORING, "procedures/resolve.md"),
        (Phase.RESOLVED, "procedures/resolve.md"),
        (Phase.TRIAGED, ""),
        (Phase.CLOSED, ""),
    ],
)
def test_each_phase_has_its_procedure(phase: Phase, path: str) -> None:
    files = dict.fromkeys(
        ["procedures/1-detect.md", "procedures/resolve.md", "runbooks/triage.md", "procedures/x.md"], ""
    )
    assert guides.procedure_of(phase, files) == path


def test_holes_are_filled_in_text_and_in_code() -> None:
    part = guides.Part("On {{ instance }} (`{{ $labels.instance }}`, {{missing}}): {{ title }}")
    values = {"instance": "node-1:9100", "title": "a\x1b[31m\nb\u202e"}
    assert guides.plain(part, values) == ["On node-1:9100 (`node-1:9100`, <missing>): a [31m b"]


HOSTILE = ["$(reboot)", "`id`", "a;b", "a b", "--rm", "'", '"', "a\nb", "x|y", "${HOME}", "<x>", "", "~root", "*", "é"]


@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_no_plain_word_is_not_filled_into_code(value: str) -> None:
    assert guides.plain(guides.Part("```\nssh {{ host }}\n```"), {"host": value}) == ["```", "ssh <host>", "```"]
    assert guides.plain(guides.Part('`curl "{{ host }}"`'), {"host": value}) == ['`curl "<host>"`']


@given(st.text(max_size=300))
def test_whatever_a_label_holds_code_takes_a_word_or_nothing_and_text_one_line(value: str) -> None:
    code = guides.in_code(value)
    assert code in ("", value)
    assert not code or shlex.split(code) == [code] == shlex.split(f'"{code}"')
    (line,) = guides.plain(guides.Part("{{ a }}"), {"a": value})
    assert len(line) <= guides.VALUE_MAX + 2
    assert not any(unicodedata.category(one) == "Cc" or "\u202a" <= one <= "\u202e" for one in line)


@given(st.text(alphabet="-[] x#`~ab\n{}", max_size=120))
def test_any_text_can_be_read_and_its_steps_are_apart(text: str) -> None:
    document = guides.parse("a.md", text)
    ids = [part.step for _, part in document.steps()]
    assert len(ids) == len(set(ids)) <= sum(line.startswith("- [") for line in text.splitlines())
    held = "".join(part.text for section in document.sections for part in section.parts)
    headings = document.title + "".join(section.name for section in document.sections)
    assert held.count("b") + headings.count("b") >= text.count("b")
