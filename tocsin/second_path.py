"""The second path: how the self-watch tells the operator, without the store and without the workers.

`second-path.yaml` names contact methods of its own. It is read again in each round; a fault in it is a warning of its
own and never stops Tocsin.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from triage.model import EffectKind, Ending, Millis, Severity
from triage.rulebook import yaml
from triage.rulebook.problems import Problem, errors_of
from triage.rulebook.reading import read_part
from triage.rulebook.secrets import REMEDY, method_fault
from triage.rulebook.shapes import Duration, Shape, Text
from workers.channel import Channel, Delivery, Message, choose
from workers.channel import load as load_channels
from workers.secrets import Lookup, UnsetSecret, expand, scrub

METHODS_MAX: Final = 10
PATIENCE_S: Final = 15.0
"""How long all methods together may take, in seconds."""


class SecondPathFile(Shape):
    """second-path.yaml: how the self-watch reaches the operator."""

    contact: list[Text] = Field(default=[], max_length=METHODS_MAX, description="Contact methods; all are used.")
    test_every: Duration | None = Field(default=None, description="How often a message says that the path works.")


class SecondPath:
    """The file as it is now. `faults` are sentences with file, line and column; with any, the last good one stays."""

    def __init__(self, path: Path, lookup: Lookup, channels: Mapping[str, Channel] | None = None) -> None:
        self._path = path
        self._lookup = lookup
        self._channels = channels
        self._stamp: tuple[int, int] | None = None
        self.file = SecondPathFile()
        self.faults: list[str] = []
        self.failed = ""
        """Why the last message did not arrive by any method, or ""."""

    def look(self) -> None:
        """Read the file if it changed."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            self.file, self.faults, self._stamp = SecondPathFile(), [], None
            return
        except (OSError, UnicodeDecodeError) as error:
            self.faults, self._stamp = [f"{self._path} cannot be read: {error}"], None
            return
        self._stamp = stamp
        problems: list[Problem] = []
        file = read(str(self._path), text, self._lookup, problems)
        self.faults = [str(problem) for problem in errors_of(problems)]
        if file is not None and not self.faults:
            self.file, self.failed = file, ""

    @property
    def trouble(self) -> str:
        """Return what keeps this path from working, or ""."""
        return "; ".join(self.faults) or self.failed

    def tell(self, title: str, body: str, severity: Severity = Severity.P1) -> list[str]:
        """Send one message by every method at once. Return how those that failed did; `failed` when all of them did."""
        message = Message(id=secrets.token_hex(8), kind=EffectKind.OPERATOR, title=title, body=body, severity=severity)
        ended: dict[int, Delivery] = {}
        threads = [
            threading.Thread(target=self._send, args=(number, target, message, ended), daemon=True)
            for number, target in enumerate(self.file.contact)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        faults = [self._fault(number, ended) for number in range(len(threads))]
        bad = [fault for fault in faults if fault]
        self.failed = "; ".join(bad) if bad and len(bad) == len(threads) else ""
        return bad

    def _send(self, number: int, target: str, message: Message, ended: dict[int, Delivery]) -> None:
        try:
            full, hidden = expand(target, self._lookup)
        except UnsetSecret as unset:
            ended[number] = Delivery(Ending.GIVE_UP, f"the secret {unset.name} is not set")
            return
        try:
            if self._channels is None:
                self._channels = load_channels()
            found = choose(self._channels, full).send(full, message)
        except Exception as error:  # noqa: BLE001  one broken channel must not cost the others
            found = Delivery(Ending.TRY_AGAIN, f"{type(error).__name__}: {error}")
        ended[number] = Delivery(found.ending, scrub(found.reason, hidden))

    @staticmethod
    def _fault(number: int, ended: Mapping[int, Delivery]) -> str:
        found = ended.get(number)
        if found is None:
            return f"contact {number + 1}: no answer within {PATIENCE_S:.0f} s"
        return "" if found.ending is Ending.DELIVERED else f"contact {number + 1}: {found.reason}"


def read(path: str, text: str, lookup: Lookup, problems: list[Problem]) -> SecondPathFile | None:
    """Return what the file says. Each fault is added to `problems` with its place; None when nothing can be used."""
    document = yaml.parse(path, text, problems)
    if document is None:
        return None
    if document.value is None:
        return SecondPathFile()
    part = read_part(document, SecondPathFile, problems)
    if part is None or not isinstance(part.shape, SecondPathFile):
        return None
    for index, target in enumerate(part.shape.contact):
        fault = method_fault(target)
        hint = REMEDY if "literal" in fault else ""
        if not fault:
            try:
                expand(target, lookup)
            except UnsetSecret as unset:
                fault = f"the secret {unset.name} is not set"
                hint = f"set the variable {unset.name}, or {unset.name}_FILE to a file that holds it"
        if fault:
            problems.append(document.problem(("contact", index), fault, hint))
    return part.shape


def every(file: SecondPathFile) -> Millis | None:
    """Return how often this path is to be tested, or None."""
    return file.test_every if file.contact else None
