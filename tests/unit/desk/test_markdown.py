"""Operators' Markdown becomes HTML; what alerts fill into it changes no tag, no attribute but a link's own pieces."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.markdown import html

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "**bold** _em_ `code` ~~s~~",
    "\n\n# heading\n\n- [ ] step\n",
    "| a | b |\n|---|---|\n| c | d |",
    "{{ 7*7 }} {% raw %} ${7*7} {{ instance }}",
    "javascript:alert(1)",
    "&lt;b&gt; &#60;b&#62;",
    '" onmouseover="alert(1)',
    "```\n</code></pre><script>",
    "<!--",
    "\x1b]0;owned\x07",
]
TEXT = """## On {{ instance }}

Look at **{{ instance }}** or [there](https://grafana.example/d/x?var-instance={{ instance }}&x=1), run
`ssh {{ instance }}`:

    uptime {{ instance }}

| host |
|------|
| {{ instance }} |

<b onclick="x">{{ instance }}</b> [bad](javascript:{{ instance }}) ![i](https://evil.example/{{ instance }})
"""


class Shape(HTMLParser):
    """The tags of a text, with the names of their attributes; links without what was filled in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name == "href"]


PLAIN = Shape(html(TEXT, {"instance": "node1"}))


def check(value: str) -> None:
    shape = Shape(html(TEXT, {"instance": value}))
    assert shape.found == PLAIN.found
    link, picture = shape.links  # a picture would be fetched by whoever looks: it is a link
    assert picture.startswith("https://evil.example/")
    assert link.startswith("https://grafana.example/d/x?var-instance=")
    assert link.endswith("&x=1")


@pytest.mark.parametrize("value", CORPUS)
def test_hostile_labels_stay_text(value: str) -> None:
    check(value)
    assert "<script" not in html(TEXT, {"instance": value})


@given(st.text(max_size=80))
def test_any_label_stays_text(value: str) -> None:
    check(value)


@pytest.mark.parametrize("text", CORPUS)
def test_hostile_files_bring_no_script_no_picture_and_no_other_scheme(text: str) -> None:
    shape = Shape(html(text, {}))
    assert not {tag for tag, _ in shape.found} & {"script", "img", "b", "iframe", "style"}
    assert {name for _, names in shape.found for name in names} <= {"href", "rel"}
    assert all(link.startswith(("https://", "http://", "mailto:")) for link in shape.links)


def test_a_table_code_and_a_link_are_what_they_look_like() -> None:
    made = html(TEXT, {"instance": "node-1:9100"})
    for piece in ("<code>ssh node-1:9100</code>", "<td>node-1:9100</td>", "var-instance=node-1%3A9100&amp;x=1"):
        assert piece in made, made
    assert 'rel="noopener noreferrer nofollow"' in made
