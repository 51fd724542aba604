"""`file:///path`: append the message as one JSON line, on disk before it counts as delivered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from triage.model import Ending
from workers.channel import Delivery, Message

_ENCODER: Final = msgspec.json.Encoder()


def send(target: str, message: Message) -> Delivery:
    """Append `message` to the file that `target` names."""
    parts = urlsplit(target)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        return Delivery(Ending.GIVE_UP, "a file channel is written file:///absolute/path, with three slashes")
    path = Path(unquote(parts.path))
    try:
        _append(path, _ENCODER.encode(message) + b"\n")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError) as error:
        return Delivery(Ending.GIVE_UP, f"cannot write {path}: {error}")
    except OSError as error:
        # A full disk may have kept the line, whole or in part.
        return Delivery(Ending.TRY_AGAIN, f"cannot write {path}: {error}", ambiguous=True)
    return Delivery(Ending.DELIVERED, f"written to {path}")


def _append(path: Path, line: bytes) -> None:
    """Write `line` at the end of the file in one call, so that several processes do not mix, and wait for the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("only a part of the line fitted")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
