"""Every form of time met in payloads, and what is none."""

from __future__ import annotations

import pytest

from ingest.times import NotATime, millis

MOMENT = 1_778_578_282_000


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-12T09:31:22Z",
        "2026-05-12T09:31:22.000000000Z",
        "2026-05-12T11:31:22+02:00",
        "2026-05-12T11:31:22.000+0200",
        "2026-05-12T09:31:22",
        "2026-05-12 09:31:22.000",
        "2026-05-12 09:31:22 UTC",
        MOMENT // 1000,
        MOMENT / 1000,
        MOMENT,
        MOMENT * 1000,
        MOMENT * 1_000_000,
        str(MOMENT // 1000),
        str(MOMENT * 1_000_000),
    ],
)
def test_forms(value: object) -> None:
    assert millis(value) == MOMENT


@pytest.mark.parametrize(
    "value", [None, "", " ", 0, -1, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000+02:00", "1970-01-01T00:00:00Z"]
)
def test_nobody_said(value: object) -> None:
    assert millis(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "2026-13-01T00:00:00Z",
        "2026-05-12T24:00:01Z",
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        10**30,
        "9" * 80,
    ],
)
def test_nonsense(value: object) -> None:
    with pytest.raises(NotATime, match="is not a time"):
        millis(value)


def test_fractions_keep_milliseconds() -> None:
    assert millis("2026-05-12T09:31:22.481999999Z") == MOMENT + 481
