"""Makes docs/keys.md: `python -m tests.upkeep.keys`."""

from __future__ import annotations

import sys

from triage.memory import FAMILIES
from triage.store import keys


def document() -> str:
    """Return docs/keys.md."""
    lines = [
        "# Keys",
        "",
        "Everything that Tocsin keeps in Redis or Valkey. Made from `triage/store/keys.py` by `make docs`; a test",
        "compares it. What is meant by journal, cursor, effect and the other words: [architecture](architecture.md).",
        "",
        "| key | type | meaning | written by | read by |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{key}` | {kind} | {meaning} | {writer} | {reader} |" for key, kind, meaning, writer, reader in keys.TABLE
    ]
    lines += ["", "The families of memory, each one hash with what it holds (`triage/model/` has the fields):", ""]
    for name, struct in FAMILIES.items():
        meaning = (struct.__doc__ or "").strip().splitlines()[0]
        lines.append(f"* `{keys.family(name)}`: {struct.__name__}. {meaning}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
