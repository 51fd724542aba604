"""Logging: one line per happening, JSON unless a person watches. Configured before anything else logs.

RQ 3 keeps loggers that it configured itself away from the root, so `configure` must run before it is imported.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import structlog

from tocsin.settings import Settings

_QUIET: Final = ("aiohttp.access", "asyncio", "urllib3", "requests", "rq")
"""Loggers of libraries that would repeat, at info, what our own lines say."""


def configure(settings: Settings, role: str) -> None:
    """Send all logging, ours and the libraries', to stderr in one shape. `role` is on every line (serve, drain, …)."""
    json_lines = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=json_lines),
        structlog.processors.StackInfoRenderer(),
    ]
    # Plain: the other formatters show the variables of each frame, and among those are tokens and secrets.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = structlog.processors.JSONRenderer() if json_lines else plain
    errors = [structlog.processors.format_exc_info] if json_lines else []
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.contextvars.bind_contextvars(role=role)
