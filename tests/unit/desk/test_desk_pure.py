"""The parts of the desk that need no store: times, links, names, attempts."""

from __future__ import annotations

import hashlib

import pytest

from desk.asking import label_filter
from desk.people import ADDRESSES_MAX, Attempts, name_of
from desk.rendering import duration, linked, safe_url
from desk.showing import time_of
from desk.signing import local_path
from triage.model import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-(10**18), "0001-01-01T00:00:00.000Z"),
        (10**18, "9999-12-31T23:59:59.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_whatever_senders_claim(at: int, text: str) -> None:
    assert time_of(at) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (-5, "0 s"),
        (999, "0 s"),
        (59 * SECOND, "59 s"),
        (MINUTE + 30 * SECOND, "1 min"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (3 * HOUR, "3 h"),
        (2 * DAY + 3 * HOUR + MINUTE, "2 d 3 h"),
    ],
)
def test_durations_are_read_at_a_glance(span: int, text: str) -> None:
    assert duration(span) == text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "/relative",
        "http:",
        "https://[broken",
        "",
    ],
)
def test_only_harmless_addresses_become_links(url: str) -> None:
    assert safe_url(url) == ""
    assert "<a" not in linked(url)


def test_harmless_addresses_in_hostile_text_are_linked_and_the_rest_is_escaped() -> None:
    text = linked('<img src=x onerror=alert(1)> see https://wiki.example/a?b=1&c="d" (or mailto:ops@wiki.example).')
    assert "<img" not in text
    assert '<a href="https://wiki.example/a?b=1&amp;c=" rel="noopener noreferrer nofollow">' in text
    assert '<a href="mailto:ops@wiki.example"' in text


def test_a_token_is_known_by_its_hash_alone() -> None:
    tokens = {"ada": hashlib.sha256(b"one").hexdigest(), "bot": hashlib.sha256(b"two").hexdigest().upper()}
    assert name_of("one", tokens) == "ada"
    assert name_of("two", tokens) == "bot"
    for wrong in ("", "One", "one ", tokens["ada"], "\udcff", "ü"):
        assert name_of(wrong, tokens) is None
    assert name_of("one", {}) is None


def test_attempts_are_counted_per_address_and_forgotten_after_a_minute() -> None:
    attempts = Attempts()
    for number in range(10):
        assert not attempts.exhausted("a", number)
        attempts.failed("a", number)
    assert attempts.exhausted("a", 10)
    assert not attempts.exhausted("b", 10)
    assert not attempts.exhausted("a", MINUTE)


def test_attempts_of_many_addresses_stay_bounded() -> None:
    attempts = Attempts()
    for number in range(ADDRESSES_MAX + 50):
        attempts.failed(str(number), 0)
    assert len(attempts._failures) == ADDRESSES_MAX


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("service=checkout", ("service", True, "checkout")),
        ('service="checkout"', ("service", True, "checkout")),
        ("env!=prod", ("env", False, "prod")),
        ("a=b=c", ("a", True, "b=c")),
        ("a=", ("a", True, "")),
    ],
)
def test_label_filters(text: str, meaning: tuple[str, bool, str]) -> None:
    assert label_filter(text) == meaning


@pytest.mark.parametrize("text", ["", "x", "=y", "!=y"])
def test_label_filters_that_name_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name=value"):
        label_filter(text)


def test_only_paths_of_our_own_are_gone_to() -> None:
    assert local_path("/incidents/abc234?x=1") == "/incidents/abc234?x=1"
    for bad in ("", "x", "//x", "/\\x", "https://x", "/a b", "/a\n", "/" + "x" * 600):
        assert local_path(bad) == "/"
