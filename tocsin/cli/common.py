"""What commands share: flags made from the settings table, text that drives no terminal, errors as one sentence."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

import click

from tocsin import settings as table
from tocsin.settings import Settings

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 4
UNAUTHORISED: Final = 5
_DRIVES: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Moves the cursor, begins a line, or turns one around."""
_HIDES: Final = re.compile(r"[\u200b\u2060\ufeff]")
_ESCAPED: Final = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff]")
"""What JSON leaves as it is, and a terminal does not."""

_F = TypeVar("_F", bound=Callable[..., Any])


def plain(text: str) -> str:
    """Return text that senders wrote without what could drive a terminal, and without what nobody sees."""
    return _DRIVES.sub("\N{REPLACEMENT CHARACTER}", _HIDES.sub("", text))


def plain_lines(text: str) -> str:
    """Return text of several lines likewise, with its lines."""
    return "\n".join(map(plain, text.split("\n")))


def as_json(found: object, indent: int | None = 2) -> str:
    """Return what the API answered as JSON, which says the same and drives no terminal."""
    text = json.dumps(found, indent=indent, ensure_ascii=False)
    return _ESCAPED.sub(lambda one: f"\\u{ord(one[0]):04x}", text)


class Stop(click.ClickException):
    """End the command with one sentence on stderr and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(plain_lines(message))
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """Return the exit code, as click asks for it."""
        return self.code


def with_settings(*scopes: str) -> Callable[[_F], _F]:
    """Give a command the flags of these scopes, and the loaded `Settings` as its first argument."""
    specs = [spec for spec in table.TABLE if spec.scope & set(scopes)]

    def decorate(command: _F) -> _F:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            flags = {spec.name: _as_given(given.pop(spec.name)) for spec in specs}
            return command(load(flags), **given)

        wrapped: Any = run
        for spec in reversed(specs):
            wrapped = _option(spec)(wrapped)
        result: _F = wrapped
        return result

    return decorate


def load(flags: dict[str, str | None]) -> Settings:
    """Return the settings. Ends the command with exit code 2 when one cannot be used."""
    try:
        return table.load(flags)
    except table.SettingError as error:
        raise Stop(str(error), USAGE) from None


def _option(spec: table.Spec) -> Callable[[Any], Any]:
    shown = f" [default: {spec.shown}]" if spec.shown and not spec.is_switch else ""
    help_ = f"{spec.help}{shown}"
    if spec.is_switch:
        return click.option(f"--{spec.flag}", spec.name, is_flag=True, default=None, help=help_)
    return click.option(f"--{spec.flag}", spec.name, metavar="VALUE", help=help_)


def _as_given(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def refuse(message: str) -> NoReturn:
    """Say why a server process will not start, with the exit code that tells `up` not to try again."""
    click.echo(f"tocsin: {message}", err=True)
    sys.exit(USAGE)
