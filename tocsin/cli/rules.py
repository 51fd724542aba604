"""`tocsin check`, `tocsin test`, `tocsin parse`: the rules at the desk, without a store."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from tocsin.cli.common import FAILED, USAGE, Stop, as_json, plain, with_settings
from tocsin.settings import SERVE, Settings

if TYPE_CHECKING:
    from triage.rulebook import Rulebook

LINT_FATAL: Final = 3
_FOLDER = click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))


@click.command()
@_FOLDER
@click.option("--lint-fatal", is_flag=True, help="Exit 3 when there are warnings or advice.")
@with_settings(SERVE)
def check(settings: Settings, folder: Path | None, lint_fatal: bool) -> None:
    """Check the rules and show every problem at once.

    FOLDER is by default --rules.path. Exit codes: 0 good, 1 refused, 3 advice with --lint-fatal.
    """
    from desk import statements
    from ingest import adapters
    from tocsin.rules import FolderError, read_folder, silent_calls, unknown_channels
    from triage.rulebook import RulesError, compile_files, render
    from triage.rulebook.problems import errors_of, in_order
    from workers import templates

    path = folder or settings.rules_path
    try:
        files = read_folder(path)
        problems = compile_files(files, adapters.names()).problems
    except FolderError as error:
        raise Stop(str(error)) from None
    except RulesError as error:
        problems = error.problems
    worded = [*templates.check(files), *statements.check(files)]
    mute = [*silent_calls(files, settings.web_external_url), *unknown_channels(files)]
    problems = in_order([*problems, *worded, *mute])
    for problem in problems:
        click.echo(render(problem, sys.stdout.isatty()))
    if errors := errors_of(problems):
        click.echo(f"{path}: refused, {_count(len(errors), 'error')} in {_count(len(files), 'file')}", err=True)
        sys.exit(FAILED)
    advice = f", {_count(len(problems), 'remark')}" if problems else ""
    click.echo(f"{path}: {_count(len(files), 'file')} good{advice}")
    sys.exit(LINT_FATAL if lint_fatal and problems else 0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@click.command()
@_FOLDER
@with_settings(SERVE)
def test(settings: Settings, folder: Path | None) -> None:
    """Play the rules' tests under a moved clock.

    They are the files tests/*.yaml of FOLDER, by default --rules.path. Exits 1 when one fails.
    """
    from tocsin.rules import TESTS, FolderError, read_folder
    from triage.rehearse import run_cases
    from triage.rulebook import RulesError, compile_files, render
    from triage.rulebook.cases import parse_cases

    path = folder or settings.rules_path
    try:
        files = read_folder(path, with_tests=True)
        rules = {name: text for name, text in files.items() if not name.startswith(f"{TESTS}/")}
        rulebook = compile_files(rules)
        cases = parse_cases(files, rulebook)
    except FolderError as error:
        raise Stop(str(error)) from None
    except RulesError as error:
        for problem in error.problems:
            click.echo(render(problem, sys.stdout.isatty()))
        raise Stop(f"{path}: the files are refused, nothing was played") from None
    if not cases:
        raise Stop(f"{path / TESTS} holds no tests. `tocsin init` writes examples into an empty folder.")
    played = run_cases(rulebook, cases)
    for one in played:
        click.echo(f"{'ok    ' if one.passed else 'FAILED'}  {one.name}")
        for problem in one.problems:
            click.echo(render(problem, sys.stdout.isatty()))
    failed = sum(not one.passed for one in played)
    click.echo(f"{_count(len(played), 'test')}, {failed} failed")
    sys.exit(FAILED if failed else 0)


@click.command()
@click.argument("adapter")
@click.argument("sample", type=click.File("rb"))
@click.option("--content-type", default="application/json", show_default=True, help="What the sender would say.")
@with_settings(SERVE)
def parse(settings: Settings, adapter: str, sample: IO[bytes], content_type: str) -> None:
    """Show what an adapter and the rules make of a sample.

    ADAPTER is the name of a source, or of a format (docs/connect-a-sender.md lists them). SAMPLE is a file with a body
    as its sender posts it, or `-`.
    """
    from ingest import adapters
    from ingest.adapter import Request, Unreadable
    from triage.changes import service_of
    from triage.rulebook.types import Source

    rulebook = _rulebook(settings.rules_path)
    source = rulebook.sources.get(adapter) or Source(name=adapter, adapter=adapter)
    try:
        reader = adapters.load(source.adapter)
        found = reader.read(
            Request(
                source=source,
                at=time.time_ns() // 1_000_000,
                body=sample.read(),
                headers={"content-type": content_type},
            )
        )
    except LookupError as error:
        raise Stop(str(error.args[0]), USAGE) from None
    except Unreadable as error:
        raise Stop(f"unreadable: {error.field}: {error.reason}") from None
    for event in found.events:
        verdict = rulebook.verdict(source.name, event)
        click.echo(as_json({"event": _plain(event), "verdict": _plain(verdict)}))
    for change in found.changes:
        document = {"change": _plain(change), "service": service_of(rulebook.services, change)}
        click.echo(as_json(document))
    for item in found.rejected:
        click.echo(plain(f"rejected {item.where}: {item.field}: {item.reason}"), err=True)
    sys.exit(FAILED if found.rejected else 0)


def _plain(struct: object) -> dict[str, object]:
    """Return a struct as a dict by field name."""
    import msgspec

    return {name: msgspec.to_builtins(getattr(struct, name)) for name in getattr(struct, "__struct_fields__", ())}


def _rulebook(path: Path) -> Rulebook:
    """Return the compiled rules, or the built-in defaults where there is no folder."""
    from tocsin.rules import FolderError, read_folder
    from triage.rulebook import EMPTY, RulesError, compile_files

    if not path.is_dir():
        click.echo(f"note: no rules at {path}; the built-in defaults judge", err=True)
        return EMPTY
    try:
        return compile_files(read_folder(path))
    except (FolderError, RulesError) as error:
        raise Stop(f"{error}\nMend the rules first; `tocsin check` shows every problem in its place.", USAGE) from None
