"""The link of a page says what it is about, and nobody else can make one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.links import CHOICES, HOLDS, NoLink, choices, number_of, read, token_for
from triage.model import Effect, EffectKind

SECRET = b"s" * 32


def page(kind: EffectKind = EffectKind.PAGE, person: str = "ana", incident: str = "abc234full") -> Effect:
    return Effect("page-1", kind, incident, person, "x://y", "down", {}, 1_000, 0, 0)


def test_a_link_says_which_page_of_which_incident_went_to_whom_and_until_when_it_holds() -> None:
    token = token_for(SECRET, page(person="Änne"))
    assert read(SECRET, token) == ("page-1", "abc234full", "Änne", 1_000 + HOLDS)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize("effect", [page(EffectKind.NOTIFICATION), page(EffectKind.OPERATOR), page(incident="")])
def test_what_asks_for_nothing_has_no_link(effect: Effect) -> None:
    assert token_for(SECRET, effect) == ""
    assert token_for(b"", page()) == ""


@given(st.integers(min_value=0, max_value=200), st.sampled_from(string.ascii_letters + "-_=%\u00e4\0"))
def test_a_changed_link_is_no_link(place: int, character: str) -> None:
    token = token_for(SECRET, page())
    changed = token[:place] + character + token[place + 1 :]
    if changed == token:
        assert read(SECRET, changed).page == "page-1"
        return
    with pytest.raises(NoLink):
        read(SECRET, changed)


@pytest.mark.parametrize("token", ["", "a", "====", "/../", "\ud800", "A" * 5_000])
def test_what_is_no_token_is_no_link(token: str) -> None:
    with pytest.raises(NoLink):
        read(SECRET, token)


def test_another_secret_or_none_reads_nothing() -> None:
    for secret in (b"t" * 32, b""):
        with pytest.raises(NoLink):
            read(secret, token_for(SECRET, page()))


@given(st.text(max_size=30), st.integers(min_value=0, max_value=3))
def test_the_number_is_among_the_choices_and_the_others_change(name: str, mistaps: int) -> None:
    found = choices(SECRET, name, mistaps)
    assert number_of(SECRET, name) in found
    assert len(set(found)) == CHOICES
    assert all(10 <= number <= 99 for number in found)
    assert found == choices(SECRET, name, mistaps)


def test_numbers_differ_from_page_to_page_and_from_secret_to_secret() -> None:
    assert len({number_of(SECRET, str(n)) for n in range(200)}) > 60
    assert len({number_of(str(n).encode(), "page") for n in range(200)}) > 60
    assert len({tuple(choices(SECRET, "page", n)) for n in range(3)}) == 3
