"""What P0 to P4 mean, for the help of each command that takes one."""

from __future__ import annotations

from typing import Final

from triage.rulebook import meanings

TABLE: Final = f"\b\n{meanings.told()}"
"""A paragraph of click's help that keeps its lines."""
OWN_WORDS: Final = "The desk and the incident's room show your own words for them: procedures/severity.md of the rules."
