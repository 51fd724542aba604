"""A real Prometheus that scrapes one target five times a second and fires while that target says so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from tests.conftest import program
from tests.real.programs import Running, free_port, running

RULES: Final = {
    "groups": [
        {
            "name": "checkout",
            "rules": [
                {"record": "checkout:broken", "expr": "max by (service) (broken)"},
                {
                    "alert": "Down",
                    "expr": "checkout:broken > 0",
                    "labels": {"severity": "critical"},
                    "annotations": {"summary": "Checkout answers 500"},
                },
            ],
        }
    ]
}


@dataclass
class Target:
    """What is watched. `broken` is what it says of itself."""

    address: str = ""
    broken: bool = True

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=f'broken{{service="checkout"}} {int(self.broken)}\n')


@asynccontextmanager
async def target() -> AsyncIterator[Target]:
    """A thing to be watched."""
    watched = Target()
    app = web.Application()
    app.router.add_get("/metrics", watched.metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        watched.address = f"127.0.0.1:{runner.addresses[0][1]}"
        yield watched
    finally:
        await runner.cleanup()


@asynccontextmanager
async def prometheus(watched: Target, folder: Path, *alertmanagers: dict[str, Any]) -> AsyncIterator[Running]:
    """Start one. `alertmanagers` are the entries of its setting `alerting.alertmanagers`."""
    (folder / "rules.json").write_text(json.dumps(RULES))
    config = folder / "prometheus.json"  # JSON is YAML
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
                "rule_files": [str(folder / "rules.json")],
                "alerting": {"alertmanagers": list(alertmanagers)},
                "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [watched.address]}]}],
            }
        )
    )
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=200ms",
        "--log.level=warn",
    ]
    async with running(command, f"http://127.0.0.1:{port}", folder / "prometheus.log") as started:
        yield started
