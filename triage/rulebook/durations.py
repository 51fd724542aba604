"""Durations as operators write them: `60s`, `10m`, `1h30m`, `2d`, `1w`, `500ms`."""

from __future__ import annotations

import re
from typing import Final

from triage.model import DAY, HOUR, MINUTE, SECOND, Millis

UNITS: Final[dict[str, Millis]] = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}
LONGEST: Final = 3_650 * DAY
PATTERN: Final = r"^(0|([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?)$"
_WHOLE: Final = re.compile(PATTERN)
_PART: Final = re.compile(r"([0-9]+)(ms|[wdhms])")


def parse_duration(text: str) -> Millis:
    """Return a duration in milliseconds. Raises ValueError, in words for the operator."""
    if not text or not _WHOLE.match(text):
        raise ValueError(
            f'"{text}" is no duration: write a number and a unit, largest first, like 90s, 10m, 1h30m or 2d'
        )
    total = sum(int(number) * UNITS[unit] for number, unit in _PART.findall(text))
    if total > LONGEST:
        raise ValueError(f'"{text}" is longer than ten years')
    return total


def counted(number: int, what: str) -> str:
    """Return how many of something, as a text: `1 page`, `2 pages`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def show_duration(value: Millis) -> str:
    """Return the shortest text that `parse_duration` reads as `value`."""
    parts = []
    for unit, size in UNITS.items():
        if unit != "w" and value >= size:
            parts.append(f"{value // size}{unit}")
            value %= size
    return "".join(parts) or "0s"
