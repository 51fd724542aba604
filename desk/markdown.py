"""Operators' Markdown as HTML, with holes filled by what alerts hold.

A hole is filled after the text was parsed: what a label holds is never Markdown, never HTML, and can't become a link's
scheme. Raw HTML of the file is shown as text, and what comes out is sanitised all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from triage.rulebook import guides

_TAGS: Final = frozenset(
    {"p", "a", "em", "strong", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br"}
    | {"table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_ESCAPED_HOLE: Final = re.compile(r"%7B%7B(\w+)%7D%7D")


def html(text: str, values: Mapping[str, str]) -> Markup:
    """Return Markdown as sanitised HTML, its holes filled with `values`."""
    tokens = _PARSER.parse(guides.HOLE.sub(r"{{\1}}", text))  # without blanks, which no link may have
    for token in _all(tokens):
        if token.type == "text":
            token.content = guides.fill(token.content, values)
        elif token.type in ("code_inline", "fence", "code_block"):
            token.content = guides.fill(token.content, values, guides.in_code)
        elif token.type == "link_open":
            token.attrSet("href", _address(str(token.attrGet("href") or ""), values))
    made = _PARSER.renderer.render(tokens, _PARSER.options, {})
    kept = nh3.clean(
        made,
        tags=set(_TAGS),
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(kept)  # noqa: S704  sanitised in the line before


def _all(tokens: list[Token]) -> list[Token]:
    return [one for token in tokens for one in (token, *(token.children or []))]


def _address(href: str, values: Mapping[str, str]) -> str:
    """Return a link with its holes filled, each as one piece of the address."""

    def piece(hole: re.Match[str]) -> str:
        value = guides.clean(values.get(hole[1], ""))
        return quote(value, safe="") if value else hole[0]

    return _ESCAPED_HOLE.sub(piece, href)
