"""The programs under test, each started for the bench alone, on loopback, and ended by their ids."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from tocsin import starting, valkey
from triage.model import Ledger
from triage.store import audit, keys
from triage.store.client import connect

ROOT: Final = Path(__file__).parent.parent
PATIENCE_S: Final = 30.0
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
ALERTMANAGER: Final = "prometheus-alertmanager"
UNBOUNDED: Final = "storm: {pages: 1000, at_once: 1000}\n"
"""A quiet.yaml with which each page is sent, to be measured."""
_CONFIG: Final = """
route: {receiver: nobody, group_by: [alertname, service], group_wait: 1h, group_interval: 1h}
receivers: [{name: nobody}]
"""


class CannotMeasure(RuntimeError):
    """A program did not come up, or gave an answer that no number can be made of. The message says which."""


@dataclass
class System:
    """A running program: its base URL and the process at its root."""

    url: str
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds that it and its living children have used so far, by what each process is."""
        used: dict[str, float] = defaultdict(float)
        for pid in family(self.process.pid):
            used[role(pid)] += _cpu_s(pid)
        return dict(used)

    def rss(self) -> int:
        """Return the resident memory of it and its children, but for the store, in bytes."""
        return sum(_rss(pid) for pid in family(self.process.pid) if role(pid) != "store")


def family(root: int) -> list[int]:
    """Return the ids of a process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def role(pid: int) -> str:
    """Return the last word of a process's command line that is neither a flag nor a path: `serve`, `drain`, `up`."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return "ended"
    if "valkey" in words[0] or "redis" in words[0]:
        return "store"
    known = [word for word in words if word in {"up", "serve", "drain", "deliver"}]
    return known[-1] if known else Path(words[0]).name


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(what: str, ready: Any, process: subprocess.Popen[bytes], log: Path | None = None) -> Any:
    """Return what `ready()` answers once it is true. Raises CannotMeasure with the end of the log."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        if answer := ready():
            return answer
        time.sleep(0.02)
    said = log.read_text(errors="replace")[-2000:] if log is not None and log.is_file() else ""
    raise CannotMeasure(f"{what} did not come up within {PATIENCE_S:.0f} s (exit code {process.poll()}). {said}")


def answers(url: str) -> dict[str, Any] | None:
    """Return the JSON behind a URL, an empty object for other text, None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            raw = answer.read()
    except (OSError, urllib.error.URLError):
        return None
    with contextlib.suppress(ValueError):
        found = json.loads(raw)
        if isinstance(found, dict):
            return found
    return {"ok": True}


@contextlib.contextmanager
def started(words: list[str], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in a file; end it on the way out, and wait for it."""
    with log.open("ab") as sink:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def alertmanager(folder: Path) -> Iterator[System]:
    """Run Debian's Alertmanager, alone (no cluster), with a group_wait so long that it tells nobody."""
    folder.mkdir(parents=True)
    config = folder / "alertmanager.yml"
    config.write_text(_CONFIG)
    port = free_port()
    log = folder / "log"
    words = [
        ALERTMANAGER,
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with started(words, log) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for("Alertmanager", lambda: answers(f"{url}/-/ready"), process, log)
        yield System(url, process)
    shutil.rmtree(folder, ignore_errors=True)


def alertmanager_version() -> str | None:
    """Return the version of the installed Alertmanager, None where there is none."""
    if shutil.which(ALERTMANAGER) is None:
        return None
    told = subprocess.run([ALERTMANAGER, "--version"], capture_output=True, text=True, check=False)
    return (told.stdout + told.stderr).split()[2]


@contextlib.contextmanager
def empty_handler(folder: Path) -> Iterator[System]:
    """Run aiohttp's empty handler."""
    log = folder / "empty.log"
    log.unlink(missing_ok=True)
    with started([sys.executable, "-m", "bench.empty"], log, cwd=ROOT) as process:
        port = wait_for("aiohttp's empty handler", lambda: log.is_file() and log.read_text().strip(), process, log)
        yield System(f"http://127.0.0.1:{port}", process)


@dataclass
class Tocsin(System):
    """A running `tocsin up`, with a client for its store and the file that its pages are written to."""

    client: redis.Redis
    pages: Path
    folder: Path

    @contextlib.contextmanager
    def workers_held(self) -> Iterator[None]:
        """Hold the drain and the deliverers still, so that only the door and the store work."""
        held = [pid for pid in family(self.process.pid) if role(pid) in {"drain", "deliver"}]
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in held:
                os.kill(pid, signal.SIGCONT)

    def ledger(self) -> tuple[int, Ledger]:
        """Return how many events were accepted, and where those decided so far ended."""
        return int(self.client.get(keys.ACCEPTED) or 0), audit.ledger_of(self.client)

    def decided(self) -> int:
        """Return how many events have been decided."""
        return sum(audit.ledger_of(self.client).outcomes.values())

    def wait_decided(self, number: int, patience_s: float = 120.0) -> float:
        """Return when (monotonic seconds) the ledger had decided that many events."""
        until = time.monotonic() + patience_s
        while self.decided() < number:
            if time.monotonic() > until:
                raise CannotMeasure(f"only {self.decided()} of {number} events decided after {patience_s:.0f} s")
            time.sleep(0.01)
        return time.monotonic()


@contextlib.contextmanager
def tocsin(folder: Path, quiet: str = UNBOUNDED) -> Iterator[Tocsin]:
    """Run `tocsin up` as it comes, but for a contact that is a file: embedded Valkey, door, drain, two deliverers."""
    storage, rules, pages, log = folder / "storage", folder / "rules", folder / "pages.jsonl", folder / "log"
    folder.mkdir(parents=True)
    starting.write_rules(rules)
    (rules / "oncall.yaml").write_text(
        f"people: {{you: {{name: You, contact: ['file://{pages}']}}}}\n"
        "policies: {default: {rounds: 3, steps: [{notify: you, wait: 5m}]}}\n"
        "operators: [you]\nlast_resort: [you]\n"
    )
    (rules / "quiet.yaml").write_text(quiet)
    words = [sys.executable, "-m", "tocsin", "up", "--storage.path", str(storage), "--rules.path", str(rules)]
    words += ["--web.listen-address", "127.0.0.1:0", "--log.format", "json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    with started(words, log, cwd=ROOT, env=environment) as process:
        address = storage / starting.URL_FILE
        url = wait_for("Tocsin", lambda: address.is_file() and address.read_text().strip(), process, log)
        wait_for("Tocsin's door", lambda: answers(f"{url}/-/ready"), process, log)
        client = connect(valkey.running_url(storage) or "")
        wait_for("Tocsin's drain with its rules", lambda: client.hexists(keys.family("rules"), ""), process, log)
        yield Tocsin(url, process, client, pages, folder)
        client.close()
    shutil.rmtree(folder, ignore_errors=True)
