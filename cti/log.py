"""Logs: JSON lines on standard error (or coloured ones for a person), the call's id on every line about a call.

Secrets never reach a line: values under telling names are replaced, whoever logs them.
"""

import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from cti.settings import LogSettings

SECRET_WORDS = ("secret", "password", "token", "cookie", "authorization")


def set_up(settings: LogSettings, out: TextIO = sys.stderr) -> None:
    """Send our own logs and those of the libraries through one way out."""
    level = getattr(logging, settings.level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if settings.pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer]
        if not settings.pretty
        else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def set_up_file(file: Path, settings: LogSettings) -> None:
    """The same lines, JSON, into a file: for a terminal that shows something else."""
    set_up(settings.model_copy(update={"pretty": False}), file.open("a", encoding="utf-8", buffering=1))


def hide_secrets(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field whose name tells that it is a secret."""
    for name in line:
        if any(word in name.lower() for word in SECRET_WORDS):
            line[name] = "(hidden)"
    return line
