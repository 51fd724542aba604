"""`tocsin insights`: how long things take, who is woken, what is noisy; as a table, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

import click

from tocsin.cli.common import with_settings
from tocsin.cli.verbs import JSON, explained, output_option, plain, show_json
from tocsin.settings import CLIENT, Settings

CSV: Final = "csv"
NIGHTS_SHOWN: Final = 20


@click.command()
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 800), help="Of how many days.")
@output_option(CSV)
@with_settings(CLIENT)
def insights(settings: Settings, days: int, output: str) -> None:
    """Say how long incidents took, who was paged and at night, and what is noisy.

    Times are medians from the opening of an incident; in CSV they are in seconds.
    """
    from tocsin.remote import Remote

    with explained():
        found = Remote(settings).get("/api/v1/insights", {"days": str(days)}).body
    if output == JSON:
        show_json(found)
    elif output == CSV:
        click.echo(_csv(found), nl=False)
    else:
        for line in _table(found):
            click.echo(line)


def _csv(found: dict[str, Any]) -> str:
    """Return one table of everything.

    What begins like a formula is made text, since spreadsheets run those; what would begin a line is no part of it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["what", "name", "figure", "value"])
    for row in _figures(found):
        writer.writerow([_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def _cell(text: str) -> str:
    return f"'{plain(text)}" if text[:1] in "=+-@\t\r" else plain(text)


def _figures(found: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for row in found["times"]:
        for figure in ("incidents", "acknowledge_s", "mitigate_s", "resolve_s"):
            if row[figure] is not None:
                yield row["by"], row["name"], figure, row[figure]
    for row in found["people"]:
        yield "person", row["person"], "pages", row["pages"]
        yield "person", row["person"], "pages_at_night", row["nights"]
        yield "person", row["person"], "nights_disturbed", row["disturbed"]
    for row in found["nights"]:
        yield "night", f"{row['night']} {row['person']}", "pages", row["pages"]
    for row in found["rules"]:
        for figure in ("incidents", "alerts", "pages"):
            yield "rule", row["rule"], figure, row[figure]
    yield "items", "", "open", found["items_open"]
    yield "items", "", "overdue", found["items_overdue"]


def _table(found: dict[str, Any]) -> Iterator[str]:
    yield f"Incidents that ended since {found['since'][:10]}: {found['incidents']}"
    yield ""
    yield f"{'':<28} {'incidents':>9} {'acknowledge':>12} {'mitigate':>12} {'resolve':>12}"
    for row in found["times"]:
        spans = (_span(row[name]) for name in ("acknowledge_s", "mitigate_s", "resolve_s"))
        yield f"{plain(row['name'])[:28]:<28} {row['incidents']:>9} " + " ".join(f"{span:>12}" for span in spans)
    yield ""
    yield f"{'person':<28} {'pages':>9} {'at night':>12} {'in nights':>12}"
    for row in found["people"]:
        yield f"{plain(row['person'])[:28]:<28} {row['pages']:>9} {row['nights']:>12} {row['disturbed']:>12}"
    if found["nights"]:
        yield ""
        yield f"{'night from':<28} {'pages':>9}   person"
    for row in found["nights"][:NIGHTS_SHOWN]:
        yield f"{row['night']:<28} {row['pages']:>9}   {plain(row['person'])[:40]}"
    if len(found["nights"]) > NIGHTS_SHOWN:
        yield f"… {len(found['nights']) - NIGHTS_SHOWN} more nights: -o csv"
    yield ""
    yield f"{'rule':<28} {'incidents':>9} {'alerts':>12} {'pages':>12}"
    for row in found["rules"]:
        yield f"{plain(row['rule'])[:28]:<28} {row['incidents']:>9} {row['alerts']:>12} {row['pages']:>12}"
    yield ""
    yield f"Open action items: {found['items_open']}, overdue: {found['items_overdue']}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes = int(seconds // 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
