"""Secrets are filled in right before sending, and never come back out."""

from __future__ import annotations

import pytest

from workers.secrets import UnsetSecret, expand, scrub


def test_every_reference_is_filled_in() -> None:
    found = expand("slack://${A}/${B}?x=${A}", {"A": "alpha1", "B": "beta22"}.get)
    assert found.target == "slack://alpha1/beta22?x=alpha1"


def test_a_target_without_references_stays_as_it_is() -> None:
    assert expand("ntfy://host/topic$", lambda _: None) == ("ntfy://host/topic$", ())


@pytest.mark.parametrize("values", [{}, {"TOKEN": ""}])
def test_a_secret_that_is_not_set_is_named(values: dict[str, str]) -> None:
    with pytest.raises(UnsetSecret) as caught:
        expand("slack://${TOKEN}", lambda name: values.get(name))
    assert caught.value.name == "TOKEN"


@pytest.mark.parametrize(
    "said",
    [
        "403 from slack://T0KEN/B0T%2Fpath",
        "no such host T0KENx/B0T+path",
        "url=https%3A%2F%2Fhooks.example%2FT0KENx%2FB0T%2Bpath",
        "piece T0KENx alone",
    ],
)
def test_no_form_of_a_secret_is_shown(said: str) -> None:
    _, hidden = expand("${URL}", {"URL": "https://hooks.example/T0KENx/B0T+path"}.get)
    assert "T0KENx" not in scrub(said, hidden)
    assert "B0T+path" not in scrub(said, hidden)
