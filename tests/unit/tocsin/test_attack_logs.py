"""An attack on the log: what a failure had in hand may be a token, and belongs on no screen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
import structlog

from tocsin import logs
from tocsin.settings import Settings


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("shape", ["console", "json"])
def test_a_failure_is_logged_without_what_it_had_in_hand(capsys: pytest.CaptureFixture[str], shape: str) -> None:
    logs.configure(cast("Settings", SimpleNamespace(log_format=shape, log_level="info")), "serve")

    def check(secret: bytes) -> None:
        raise ValueError("no such thing")

    try:
        check(b"open-" + b"sesame")
    except ValueError:
        structlog.get_logger().exception("failed")
    said = capsys.readouterr().err
    assert "no such thing" in said
    assert "open-sesame" not in said
