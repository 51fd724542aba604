"""`make bench`: Tocsin beside Debian's Alertmanager, in one run, on this machine. See README.md in this folder."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

if __package__ in (None, ""):  # `python bench/run.py`
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import latency, lateness, load, report, rules, storm, systems, throughput
from bench.report import Row
from bench.systems import CannotMeasure, Tocsin
from bench.throughput import ALERTMANAGER, DOOR, EMPTY, TOCSIN, TOCSIN_API, Case
from tocsin import valkey

PARTS = ("rules", "throughput", "latency", "lateness", "storm")


class Scale:
    """How much of everything: the whole run in about five minutes, or a quick look."""

    def __init__(self, quick: bool) -> None:
        self.rounds = 1 if quick else 3
        self.seconds = 2.0 if quick else 3.0
        self.latency_s = 5.0 if quick else 12.0
        self.timers = 2_000 if quick else 10_000
        self.storm = 20_000 if quick else 100_000
        self.rules = (10, 100, 1_000) if quick else (10, 100, 1_000, 10_000)


def main() -> int:
    """Run and print. Returns 0 once measured, met or missed; 1 when something failed; 2 when it cannot begin."""
    options = _options()
    if not load.wrk_installed() and "throughput" in options.parts:
        print("bench: wrk is not installed: apt-get install wrk (or --only rules latency storm)", file=sys.stderr)
        return 2
    version = systems.alertmanager_version()
    if version is None and "throughput" in options.parts:
        print(
            "bench: prometheus-alertmanager is not installed, and ratios need it: apt-get install "
            "prometheus-alertmanager (or --only rules latency storm)",
            file=sys.stderr,
        )
        return 2
    started = time.monotonic()
    print(versions(version))
    try:
        with _folder(options.storage) as folder:
            rows = measure(folder, Scale(options.quick), options.parts, version is not None)
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.markdown(rows)}\n")
    missed = sum(not row.met for row in rows)
    print(
        f"{missed} targets missed; {time.monotonic() - started:.0f} s"
        + (" (quick: trust little)" if options.quick else "")
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything, in about a minute")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, dest="parts", help="these parts alone")
    parser.add_argument("--storage", type=Path, help="folder on the disk to measure (default: the temporary one)")
    return parser.parse_args()


@contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-", dir=parent))
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=False)
    if kind.stdout.strip() in {"tmpfs", "ramfs"}:
        print(
            f"bench: {folder} is in memory, where a sync costs nothing: give --storage a folder on a disk",
            file=sys.stderr,
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def versions(alertmanager: str | None) -> str:
    """Return what ran where."""
    named = ", ".join(f"{name} {metadata.version(name)}" for name in ("aiohttp", "redis", "rq", "msgspec"))
    try:
        named += f", uvloop {metadata.version('uvloop')}"
    except metadata.PackageNotFoundError:
        named += ", without uvloop"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, {named}, "
        f"{valkey.find_program()}, Alertmanager {alertmanager or 'not installed'}"
    )


def measure(folder: Path, scale: Scale, parts: tuple[str, ...], with_alertmanager: bool) -> list[Row]:
    """Measure the parts asked for and return the rows."""
    rows: list[Row] = []
    if "throughput" in parts:
        for said, cases in throughput.measure(folder, scale.rounds, scale.seconds):
            print(f"  {said}", flush=True)
            found = cases
        rows += throughput_rows(found)
    if "latency" in parts:
        with systems.tocsin(folder / "latency") as tocsin:
            rows += latency_rows(tocsin, folder, scale)
        print("  latency", flush=True)
    if "lateness" in parts:
        rows += lateness_rows(lateness.measure(folder, scale.timers))
        print("  lateness", flush=True)
    if "storm" in parts:
        rows += storm_rows(storm.measure(folder, scale.storm, with_alertmanager))
        print("  storm", flush=True)
    if "rules" in parts:
        rows += rules_rows(rules.measure(scale.rules))
    return rows


def throughput_rows(cases: list[Case]) -> list[Row]:
    one, many, repeats = cases

    def ratio(
        what: str, case: Case, number: str, target: float | None, who: str, to: str, of: str = "", at_least: bool = True
    ) -> Row:
        value = case.ratio(number, who, to, of)
        mine, other = case.median(who, number), case.median(to, of or number)
        note = f"{mine:,.0f} by {other:,.0f}; rounds {case.span(number, who, to, of)}"
        return Row(what, value, f"{value:.2f} ×", target, at_least, note)

    rows = [
        ratio("accepted/s, bodies of 1, by Alertmanager", one, "accepted", 0.6, TOCSIN, ALERTMANAGER),
        ratio("… both on /api/v2/alerts", one, "accepted", 0.6, TOCSIN_API, ALERTMANAGER),
        ratio("accepted/s, bodies of 1, door alone, by aiohttp's empty handler", one, "accepted", 0.3, DOOR, EMPTY),
        ratio("… with the drain at work on the same cores", one, "accepted", None, TOCSIN, EMPTY),
        ratio("accepted/s, bodies of 64, by Alertmanager", many, "accepted", 1.0, TOCSIN, ALERTMANAGER),
        ratio("… both on /api/v2/alerts", many, "accepted", 1.0, TOCSIN_API, ALERTMANAGER),
        ratio(
            "decided/s, 64, unique, by accepted/s of Alertmanager",
            many,
            "decided",
            0.8,
            TOCSIN,
            ALERTMANAGER,
            "accepted",
        ),
        ratio("… on /api/v2/alerts", many, "decided", 0.8, TOCSIN_API, ALERTMANAGER, "accepted"),
        ratio("decided/s, 64, 95 % repeats, likewise", repeats, "decided", 0.6, TOCSIN, ALERTMANAGER, "accepted"),
    ]
    for name, case in (("1", one), ("64, unique", many), ("64, 95 % repeats", repeats)):
        row = ratio(f"CPU µs per alert decided, bodies of {name}", case, "cpu", None, TOCSIN, ALERTMANAGER)
        rows.append(replace(row, note=f"{row.note}; {case.shares(TOCSIN)}"))
    return rows


def latency_rows(tocsin: Tocsin, folder: Path, scale: Scale) -> list[Row]:
    rows: list[Row] = []
    time.sleep(1)
    for what, rate, size, seed in (("20/s", 20, 1, "i"), ("1,000/s", 1_000, 10, "k")):
        disk = latency.fsync(folder)
        found = latency.to_decision(tocsin, rate, size, scale.latency_s, seed)
        note = f"p50 {found.p50:.1f}, max {found.worst:.0f} of {found.samples}; fsync p99 {disk.p99:.2f} ms"
        target = round(10 + 2 * disk.p99, 1)
        rows.append(Row(f"202 to decision, {what}, p99 ms", found.p99, f"{found.p99:.1f}", target, False, note))
    for what, target, background, seed in (("idle", 100.0, 0.0, "pi"), ("2,000 alerts/s", 1_000.0, 2_000.0, "pl")):
        paged = latency.to_page(tocsin, 10, scale.latency_s, seed, background)
        if paged.missing:
            raise CannotMeasure(f"{paged.missing} pages did not come within 10 s")
        took = paged.took
        note = f"p50 {took.p50:.1f}, max {took.worst:.0f} of {took.samples}"
        rows.append(Row(f"202 to page handed over, {what}, p99 ms", took.p99, f"{took.p99:.1f}", target, False, note))
    return rows


def lateness_rows(made: lateness.Lateness) -> list[Row]:
    what = f"{made.timers:,} pages due at once"
    rate = made.timers / made.fired if made.fired else 0
    note = f"{made.pages} messages to the person; {rate:,.0f} timers/s"
    return [
        Row(f"{what}: last one decided, s late", made.fired, f"{made.fired:.1f}", note=note),
        Row(f"{what}: the P0 handed over, s late", made.worst, f"{made.worst:.1f}", 2.0, False),
    ]


def storm_rows(made: storm.Storm) -> list[Row]:
    many = f"{made.alerts:,} alerts of one group"
    parts = ", ".join(f"{name} {size:.0f}" for name, size in made.parts.items())
    rows = [
        Row(f"{many}: incidents", made.incidents, str(made.incidents), 1, False, f"{made.decided:,.0f} decided/s"),
        Row(f"{many}: pages", made.pages, str(made.pages), 1, False),
    ]
    if made.alertmanager:
        ratio = made.state / made.alertmanager
        note = f"{made.state:.0f} by {made.alertmanager:.0f} bytes"
        rows.append(Row("state per active alert, by Alertmanager", ratio, f"{ratio:.2f} ×", 0.35, False, note))
    note = f"{parts}; Python processes {made.python_rss / 2**20:.0f} MiB resident"
    rows.append(Row("all bytes of the store per alert", made.used_memory, f"{made.used_memory:.0f}", note=note))
    return rows


def rules_rows(costs: list[rules.Cost]) -> list[Row]:
    rows = []
    base = costs[0].fresh
    for cost in costs:
        target = 5.0 if cost.rules == 1_000 else round(1.5 * base, 1) if cost.rules == 10_000 else None
        note = f"seen before {cost.known:.1f}; compiled in {cost.compile_ms:.0f} ms"
        rows.append(Row(f"{cost.rules:,} rules, µs per event", cost.fresh, f"{cost.fresh:.1f}", target, False, note))
    return rows


if __name__ == "__main__":
    sys.exit(main())
