"""Starting real programs for a test, and ending them: by their own process, never by name."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

DEADLINE_S: Final = 30.0
"""How long a real program may take over anything, in seconds. Generous: a test waits for the event, not for this."""


class Late(AssertionError):
    """What a test waited for did not happen."""


async def until(what: str, holds: Callable[[], Awaitable[bool]], deadline_s: float = DEADLINE_S) -> None:
    """Look until it holds. Raises Late, which says what was waited for."""
    ends = time.monotonic() + deadline_s
    while not await holds():
        if time.monotonic() > ends:
            raise Late(f"not within {deadline_s:g} s: {what}")
        await asyncio.sleep(0.02)


def free_port() -> int:
    """Return a port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Running:
    """A program that serves HTTP at `url`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@asynccontextmanager
async def running(command: list[str], url: str, log: Path) -> AsyncIterator[Running]:
    """Start a program whose `/-/ready` answers 200 once it is up, and end it."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    program = Running(url, process, log)
    try:
        async with aiohttp.ClientSession() as session:
            await until(f"{command[0]} is ready", lambda: _ready(session, program))
        yield program
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _ready(session: aiohttp.ClientSession, program: Running) -> bool:
    if program.process.poll() is not None:
        raise AssertionError(f"{program.url} ended:\n{program.log.read_text()}")
    try:
        async with session.get(f"{program.url}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def told(*command: str) -> str:
    """Run a command to its end and return what it printed. Raises AssertionError with that when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 0, f"{command} exits {process.returncode}: {printed.decode()}"
    return printed.decode()
