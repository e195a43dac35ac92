"""Logs: JSON lines on standard error (or coloured ones for a person), the call's id on every line about a call.

Secrets never reach a line: values under telling names are replaced, however deep, and passwords inside addresses too.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TextIO

import structlog

from cti.settings import LogSettings

SECRET_WORDS = ("secret", "password", "passwd", "token", "cookie", "authorization")
HIDDEN = "(hidden)"

_IN_ADDRESS = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(@)")
"""The password of `postgresql://user:password@host/name`."""


def set_up(settings: LogSettings, out: TextIO = sys.stderr) -> None:
    """Send our own logs and those of the libraries through one way out."""
    level = getattr(logging, settings.level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # before hide_secrets: an exception's text may quote one
        hide_secrets,
    ]
    renderer: Any = structlog.processors.JSONRenderer(default=str)
    if settings.pretty:
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*shared, renderer],
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
    """Replace the value of every field whose name tells that it is a secret, however deep, and secrets inside addresses."""
    for name, value in line.items():
        line[name] = _without_secrets(name, value)
    return line


def _without_secrets(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET_WORDS):
        return HIDDEN
    if isinstance(value, str):
        return _IN_ADDRESS.sub(rf"\1{HIDDEN}\2", value)
    if isinstance(value, Mapping):
        return {str(key): _without_secrets(str(key), below) for key, below in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_without_secrets("", below) for below in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _without_secrets(one.name, getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, BaseException):
        return _without_secrets("", repr(value))
    return value
