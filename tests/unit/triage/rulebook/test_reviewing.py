"""What `tocsin check` says of runbooks: sections, links, and rules that page without one."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import ONCALL, said
from triage.rulebook import guides

WHOLE = "# X\n\n" + "".join(f"## {name}\n\nx\n\n" for name in guides.SECTIONS)
RULE = "rules:\n  - {name: r, matchers: ['%s'], severity: P1%s}\n"


def check(severity: str = "", **files: str) -> list[str]:
    texts = {path.replace("__", "/") + ".md": text for path, text in files.items()}
    return said({"oncall.yaml": ONCALL, "severity.yaml": severity, **texts})


def test_missing_sections_are_named() -> None:
    (line,) = check(runbooks__x="# X\n\n## Symptoms\n\nx\n\n## mitigation\n\nx\n")
    assert line.startswith("runbooks/x.md:1:1: it has no section Investigation, Resolution")
    assert check(procedures__x="# X\n") == []


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("[a](y.md)", 'there is no file "runbooks/y.md"'),
        ("[a](disk-ful.md)", 'did you mean "runbooks/disk-full.md"?'),
        ("[a](../procedures/1-detect.md#x)", ""),
        ("[a](disk-full.md)", ""),
        ("[a](#mitigation)", ""),
        ("[a](https://example.org/x)", ""),
        ("[a](https://)", "leads nowhere"),
        ("[a](javascript:alert)", "will not be a link"),
        ("[a](../../etc/passwd)", "there is no file"),
    ],
)
def test_links_that_lead_nowhere(link: str, says: str) -> None:
    found = check(
        runbooks__x=f"{WHOLE}See {link}.\n",
        procedures__1_detect="",
        **{"procedures__1-detect": "# D"},
        **{"runbooks__disk-full": WHOLE},
    )
    if not says:
        assert found == []
        return
    (line,) = found
    assert says in line
    assert line.startswith(f"runbooks/x.md:{WHOLE.count(chr(10)) + 1}:")


@pytest.mark.parametrize(
    ("matcher", "more", "advised"),
    [
        ('alertname="Down"', "", True),
        ('alertname="Down"', ", runbook: runbooks/x.md", False),
        ('alertname="x"', "", False),
        ('alertname=~"x|y"', "", True),
        ('alertname=~"Any.*"', "", False),
        ('team="shop"', "", False),
    ],
)
def test_rules_that_page_without_a_runbook(matcher: str, more: str, advised: bool) -> None:
    by_name = (
        "  - {name: by name, matchers: ['alertname=~\".+\"'], runbook: 'runbooks/{alertname}.md', continue: true}\n"
    )
    text = RULE % (matcher, more)
    found = check(text.replace("rules:\n", f"rules:\n{by_name}"), runbooks__x=WHOLE)
    assert any('"r" pages people and names no runbook' in line for line in found) is advised


def test_nothing_is_advised_where_there_are_no_runbooks_and_for_what_wakes_nobody() -> None:
    assert check(RULE % ('alertname="Down"', "")) == []
    quiet = (RULE % ('alertname="Down"', "")).replace("P1", "P2")
    assert check(quiet, runbooks__x=WHOLE) == []
