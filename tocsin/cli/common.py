"""What commands share: flags made from the settings table, and errors as one sentence with an exit code."""

from __future__ import annotations

import functools
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

_F = TypeVar("_F", bound=Callable[..., Any])


class Stop(click.ClickException):
    """End the command with one sentence on stderr and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
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
