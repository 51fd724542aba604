"""What `tocsin init` writes: the starting rules, and the admin token of this installation."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = "admin.token"  # noqa: S105  the name of the file, not a token
LINK_FILE: Final = "link.secret"
"""What signs the links in pages."""
SOURCE_TOKEN_FILE: Final = "source.token"  # noqa: S105  likewise
"""A token for senders. It is in force once its SHA-256 stands in sources.yaml."""
URL_FILE: Final = "web.url"
"""Where the receiver of this directory listens; people's commands on this machine find it there."""
SECOND_PATH_FILE: Final = "second-path.yaml"
"""How the self-watch reaches the operator."""
_SECOND_PATH: Final = """\
# How the self-watch reaches you when Tocsin itself is in trouble: without its store and without its workers.
# Take another way than the pages take, another mail server or another chat. `tocsin watch --test` sends one message.
contact: []
# contact:
#   - "mailtos://tocsin:${WATCH_MAIL_PASSWORD}@mail.example.org?to=you@example.org"
#   - "ntfys://${WATCH_NTFY_TOKEN}@ntfy.example.org/tocsin-watch"
# test_every: 24h       # a message that says that this path works
"""
_PACKAGED: Final = Path(__file__).parent / "starting_rules"
_CHECKOUT: Final = Path(__file__).parent.parent / "rules"


class InitError(RuntimeError):
    """The starting set cannot be written. The message says why and what to do."""


@dataclass(slots=True)
class Written:
    """What `init` did: paths that it wrote, and paths that were there and were left alone."""

    wrote: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def starting_rules() -> Path:
    """Return the directory of the starting set: inside the package, or beside it in a checkout. Raises InitError."""
    for path in (_PACKAGED, _CHECKOUT):
        if (path / "severity.yaml").is_file():
            return path
    raise InitError(f"The starting rules are missing from this installation ({_PACKAGED}). Install Tocsin again.")


def write_rules(target: Path) -> Written:
    """Copy the starting set to `target`. What exists is never overwritten. Raises InitError."""
    done = Written()
    origin = starting_rules()
    for file in sorted(origin.rglob("*")):
        if not file.is_file() or file.name.startswith("."):
            continue
        place = target / file.relative_to(origin)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as out:
                out.write(file.read_bytes())
        except FileExistsError:
            done.kept.append(place)
        except OSError as error:
            raise InitError(f"{place} cannot be written: {error.strerror}. Give another directory.") from error
        else:
            done.wrote.append(place)
    return done


def write_token(storage: Path, name: str = TOKEN_FILE) -> Written:
    """Make a token, readable by this user only, unless there is one. Raises InitError."""
    path = storage / name
    try:
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return Written(kept=[path])
    except OSError as error:
        raise InitError(f"{path} cannot be written: {error.strerror}. Give another --storage.path.") from error
    with os.fdopen(number, "w", encoding="ascii") as out:
        out.write(secrets.token_urlsafe(32) + "\n")
    return Written(wrote=[path])


def write_second_path(storage: Path) -> Written:
    """Write the empty second path of the self-watch, with examples, unless there is one. Raises InitError."""
    path = storage / SECOND_PATH_FILE
    try:
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as out:
            out.write(_SECOND_PATH)
    except FileExistsError:
        return Written(kept=[path])
    except OSError as error:
        raise InitError(f"{path} cannot be written: {error.strerror}. Give another --storage.path.") from error
    return Written(wrote=[path])


def link_secret(storage: Path, given: str = "") -> bytes:
    """Return the secret that signs links: the given one, else the one in `storage`, made if there is none.

    Empty when it can neither be read nor written: then pages carry no link that acknowledges.
    """
    if given:
        return hashlib.sha256(given.encode()).digest()
    path = storage / LINK_FILE
    with contextlib.suppress(OSError):
        if not path.exists():
            _make_secret(storage, path)
    text = read_token(storage, LINK_FILE)
    return hashlib.sha256(text.encode()).digest() if text else b""


def _make_secret(storage: Path, path: Path) -> None:
    """Write a secret whole or not at all: another process may be doing the same, and one must win for both."""
    storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, draft = tempfile.mkstemp(dir=storage)
    try:
        with os.fdopen(number, "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()


def read_token(storage: Path, name: str = TOKEN_FILE) -> str:
    """Return a token, or "" when there is none or it cannot be read."""
    try:
        return (storage / name).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
