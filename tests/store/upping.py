"""A whole `tocsin up` in a process of its own, with a directory, a free port and a log of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.upkeep.tracked import ROOT

PATIENCE_S = 40.0
_QUICK = ("--log.format", "json", "--work.deliverers", "1", "--watch.full", "100")
"""The machine that runs the tests may well be full, which is no fault of what they test."""


def until(what: str, look: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Return the first true answer of `look`; fail, saying what did not happen, after a while."""
    end = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"it did not happen: {what}"
        time.sleep(0.02)


def children(pid: int) -> dict[int, str]:
    """Return the living children of a process with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if parent == pid and words:
            found[int(entry.name)] = words
    return found


class Half:
    """One `tocsin` process. `output` is what it printed, people's lines and log lines alike."""

    def __init__(self, *words: str, **environ: str) -> None:
        self._out = tempfile.TemporaryFile("w+b")  # noqa: SIM115  closed by `close`
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tocsin", *words],
            stdout=self._out,
            stderr=self._out,
            stdin=subprocess.DEVNULL,
            env=kept | {"PYTHONPATH": str(ROOT)} | environ,
        )

    @property
    def output(self) -> str:
        return os.pread(self._out.fileno(), 10_000_000, 0).decode("utf-8", "replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        """Stop it and forget what it printed."""
        self.stop()
        self._out.close()


class Up(Half):
    """One `tocsin up`, on a free port."""

    def __init__(self, storage: Path, *flags: str, address: str = "127.0.0.1:0", **environ: str) -> None:
        self.storage = storage
        words = ("up", "--storage.path", str(storage), "--web.listen-address", address, *_QUICK, *flags)
        super().__init__(*words, **environ)

    def ready(self) -> Up:
        """Wait until it takes events and a worker has read the rules."""
        self.url = until("it says where it listens", lambda: self._said(r"listening +(http://\S+)"))
        until("it is ready", self._is_ready)
        return self

    def _said(self, pattern: str) -> str:
        assert self.process.poll() is None, self.output
        match = re.search(pattern, self.output)
        return match[1] if match else ""

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.output
        status, said = self.get("/-/ready")
        return status == 200 and not said["warnings"]

    def get(self, path: str) -> tuple[int, Any]:
        """GET a path and return status and JSON (0 when nobody answers)."""
        return self.ask(urllib.request.Request(self.url + path))

    def ask(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                raw = error.read()
            return error.code, json.loads(raw) if raw.startswith(b"{") else raw.decode()
        except OSError:
            return 0, None

    def post(self, path: str, body: Any, token: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.ask(urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method="POST"))

    def alert(self, name: str, service: str = "checkout", severity: str = "critical") -> str:
        """Post one firing alert and return its entry."""
        labels = {"alertname": name, "service": service, "severity": severity}
        alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}
        status, said = self.post("/v1/events/alertmanager", {"version": "4", "alerts": [alert]})
        assert status == 202, (status, said)
        return str(said["entry"])

    def incidents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/v1/incidents")[1]["items"]
        return found

    def child(self, words: str) -> int:
        """Return the id of the living child whose command line holds these words."""
        found = [pid for pid, line in children(self.process.pid).items() if words in line]
        assert found, f"no child runs {words!r}: {children(self.process.pid)}"
        return found[0]


def command(storage: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one `tocsin` command against a storage directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return subprocess.run(
        [sys.executable, "-m", "tocsin", *words],
        env=kept | {"PYTHONPATH": str(ROOT), "TOCSIN_STORAGE_PATH": str(storage)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
