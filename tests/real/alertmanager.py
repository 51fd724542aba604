"""A real Alertmanager, quick about everything, whose webhook is Tocsin; and amtool to feed it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.conftest import program
from tests.real.programs import Running, free_port, running, told

NAMES: Final = ("prometheus-alertmanager", "alertmanager")
"""Debian's name for it, and its own."""

CONFIG: Final = """
route:
  receiver: tocsin
  group_by: [service]
  group_wait: 100ms
  group_interval: 500ms
  repeat_interval: 100ms
receivers:
  - name: tocsin
    webhook_configs:
      - url: {url}/v1/events/alertmanager
        send_resolved: true
"""


@asynccontextmanager
async def alertmanager(tocsin: str, folder: Path) -> AsyncIterator[Running]:
    """Start one that posts to the Tocsin at that URL. It has no cluster and keeps its storage in `folder`."""
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(url=tocsin))
    port = free_port()
    command = [
        program(*NAMES),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    async with running(command, f"http://127.0.0.1:{port}", folder / "alertmanager.log") as started:
        yield started


async def amtool_adds(url: str, *labels: str, ends: bool = False, options: tuple[str, ...] = ()) -> str:
    """Let amtool post one alert to an Alertmanager, or to what answers like one, and return what it printed."""
    end = [f"--end={datetime.now(UTC).isoformat(timespec='milliseconds')}"] if ends else []
    command = [program("amtool"), f"--alertmanager.url={url}", *options, "alert", "add", *labels, *end]
    return await told(*command, "--annotation=summary=Checkout answers 500")
