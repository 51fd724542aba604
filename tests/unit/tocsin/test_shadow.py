"""That nobody is told is said by whoever is asked whether all is well, and so is that machines do not agree on it."""

from __future__ import annotations

import pytest

from tocsin.health import of_shadow
from tocsin.settings import load


@pytest.mark.parametrize(
    ("here", "roles", "words"),
    [
        (False, {"drain", "deliver"}, ""),
        (True, {"drain", "deliver-shadow"}, "nobody is told"),
        (True, {"drain"}, "nobody is told"),
        (True, {"deliver"}, "some processes"),
        (False, {"deliver-shadow"}, "some processes"),
        (True, {"deliver", "deliver-shadow"}, "some processes"),
    ],
)
def test_what_ready_says(here: bool, roles: set[str], words: str) -> None:
    said = of_shadow(here, roles)
    assert len(said) == bool(words)
    assert words in "".join(said)


def test_children_are_in_shadow_too() -> None:
    settings = load({"paging": "shadow"}, {"HOME": "/nowhere"})
    assert settings.shadow
    assert settings.environment()["TOCSIN_PAGING"] == "shadow"
