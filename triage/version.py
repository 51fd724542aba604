"""Which judgement this is: a number that is another one whenever the code that decides is.

History replays only by the code that decided it. So each commit and each checkpoint says by which it was made, and a
judgement that takes over from another writes a checkpoint first. A number that is raised by hand is forgotten in just
the change where nobody saw that old history would be decided otherwise; then operators are told that theirs differs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_BYTES: Final = 6
"""Of the digest: short enough to be read aloud, and far more than there will ever be releases."""


def of_sources(package: Path) -> int:
    """Return the number of the Python sources below `package`: of their names and of all that is in them.

    Where a package is installed without its sources, of what they were compiled to. A changed comment is another number
    too: that costs one checkpoint, and nobody has to judge what is only a comment. Raises OSError.
    """
    found = sorted(package.rglob("*.py")) or sorted(package.rglob("*.pyc"))
    digest = hashlib.blake2b(digest_size=_BYTES)
    for path in found:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return int.from_bytes(digest.digest(), "big")


VERSION: Final = of_sources(Path(__file__).parent)
"""Of this judgement. All of `triage` counts: its model and its store say how memory and digests are written."""
