"""The operators' folder: read, compiled, and offered to the journal when it has changed.

What is appended is the text, not the compiled rules: workers compile it again from the journal, so that all of them,
and every replay, judge by the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from desk import statements
from ingest import adapters
from triage.model import RulesLoaded, rules_digest
from triage.rulebook import Problem, RulesError, load
from triage.rulebook.problems import closest
from triage.twilio import VOICE
from workers import templates

SUFFIXES: Final = frozenset({".yaml", ".yml", ".md", ".j2", ".txt", ".html", ".ics"})
TESTS: Final = "tests"
"""The folder of rehearsals; it decides nothing, so it stays out of the journal."""
TOLD: Final = frozenset({"oncall.yaml", "postmortems.yaml", "rooms.yaml", "updates.yaml"})
"""The files in which contact methods stand."""
ADDRESSES: Final = frozenset({"http", "https", "webcal"})
"""What begins an address there that is no contact method."""
_SCHEME: Final = re.compile(r"(?<![\w}+.-])([A-Za-z][A-Za-z0-9+.-]*)://")
MAX_TOTAL: Final = 16 * 1024 * 1024
MAX_FILES: Final = 5_000
MAX_ERRORS: Final = 100


class FolderError(RuntimeError):
    """The folder cannot be read. The message names the path and says what to do."""


def silent_calls(files: Mapping[str, str], external_url: str) -> list[Problem]:
    """Return a warning for each call by phone that could say nothing, since Twilio could not reach us."""
    message = "a call asks Tocsin what to say, and --web.external-url (TOCSIN_WEB_EXTERNAL_URL) is not set"
    hint = "set it where you check and run, to an address that the internet reaches"
    return [
        Problem(path, number, line.index(f"{VOICE}://") + 1, message, hint, "warning", line)
        for path, text in sorted(files.items())
        for number, line in enumerate(text.splitlines() if path.endswith((".yaml", ".yml")) else (), 1)
        if not external_url and f"{VOICE}://" in line.partition("#")[0]
    ]


def unknown_channels(files: Mapping[str, str]) -> list[Problem]:
    """Return a warning for each contact method by which nobody could be told, since nothing here knows its scheme."""
    from workers import channel
    from workers.channels import apprise

    known = frozenset(channel.load()) | apprise.services() | ADDRESSES
    found = [
        (path, number, match.start() + 1, match[1].lower(), line)
        for path, text in sorted(files.items())
        for number, line in enumerate(text.splitlines() if path.rpartition("/")[2] in TOLD else (), 1)
        for match in _SCHEME.finditer(line.partition("#")[0])
    ]
    return [
        Problem(
            path,
            number,
            column,
            f"nothing knows {scheme}://, so nobody is told by it",
            closest(scheme, known),
            "warning",
            line,
        )
        for path, number, column, scheme, line in found
        if scheme not in known
    ]


def read_folder(path: Path, *, with_tests: bool = False) -> dict[str, str]:
    """Return the operators' files: path relative to the folder (with `/`) → text. Raises FolderError."""
    if not path.is_dir():
        raise FolderError(
            f"There is no rules folder at {path}. Run `tocsin init`, or mend --rules.path (TOCSIN_RULES_PATH)."
        )
    files: dict[str, str] = {}
    total = 0
    for name, file in _texts(path, with_tests=with_tests):
        try:
            files[name] = file.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise FolderError(f"{file} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
        except OSError as error:
            raise FolderError(f"{file} cannot be read: {error.strerror}.") from None
        total += len(files[name])
        if total > MAX_TOTAL or len(files) > MAX_FILES:
            raise FolderError(
                f"{path} holds more than {MAX_FILES} files or {MAX_TOTAL // 1024**2} MiB of text. "
                "Move out what are no rules."
            )
    return files


def _texts(path: Path, *, with_tests: bool) -> list[tuple[str, Path]]:
    found = []
    for file in path.rglob("*"):
        relative = file.relative_to(path)
        hidden = any(part.startswith(".") or part.endswith("~") for part in relative.parts)
        if hidden or file.suffix not in SUFFIXES or not file.is_file():
            continue
        if relative.parts[0] == TESTS and not with_tests:
            continue
        found.append((relative.as_posix(), file))
    return sorted(found)


def stamp(path: Path) -> frozenset[tuple[str, int, int]]:
    """Return what changes when a file of the folder does: names, times and sizes. A missing folder is an empty one."""
    found = set()
    for name, file in _texts(path, with_tests=False):
        try:
            status = file.stat()
        except OSError:
            continue
        found.add((name, status.st_mtime_ns, status.st_size))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Offer:
    """The journal entry for a folder, and every error in it, also of teams that keep their last good files."""

    entry: RulesLoaded
    errors: list[str]
    kept_teams: tuple[str, ...] = ()


def offer(path: Path, by: str, last_good: Mapping[str, str]) -> Offer:
    """Read and compile the folder and say what to append: the texts, or the errors that refuse them.

    `last_good` are the files in force, which stand in for a team's folder that is broken.
    """
    digest = ""
    try:
        files = read_folder(path)
        digest = rules_digest(files)
        loaded = load(files, last_good, adapters.names())
    except FolderError as error:
        errors = [str(error)]
    except RulesError as error:
        errors = _errors(error.problems)
    else:
        errors = _errors([*templates.check(loaded.files), *statements.check(loaded.files)])
        if not errors:
            entry = RulesLoaded(digest=rules_digest(loaded.files), files=loaded.files, by=by)
            return Offer(entry, _errors(loaded.problems), loaded.kept)
    return Offer(RulesLoaded(digest=digest, files={}, errors=errors, by=by), errors)


def secret_file(path: str) -> bytes:
    """Return the secret in a file, without the white space around it. Raises OSError."""
    return Path(path).expanduser().read_bytes().strip()


def _errors(problems: list[Problem]) -> list[str]:
    return [str(problem) for problem in problems if problem.severity == "error"][:MAX_ERRORS]
