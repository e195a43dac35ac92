"""Processes beside a row: a module of this package run with `python -m`, spoken with in lines of JSON.

The row pins the one that is measured and the one that loads it to cores of their own, where the machine has two.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).parents[1]
RUN_DIR = REPOSITORY / ".run" / "bench"
"""Where everything a row makes is kept; ignored by git."""

MEASURED, LOAD = 0, 1
"""Which core the measured process has, and which the load."""


def pin(core: int) -> None:
    """Keep this process on one core, on machines with two or more."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(allowed) >= 2:
        os.sched_setaffinity(0, {allowed[core % len(allowed)]})


def _pinner(core: int | None) -> Callable[[], None] | None:
    return None if core is None else lambda: pin(core)


class Worker:
    """One process: `say` and `hear` one JSON value at a time; ended when the context is left."""

    def __init__(self, module: str, *words: object, core: int | None = None) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.{module}", *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            preexec_fn=_pinner(core),
        )

    def say(self, told: Any) -> None:
        """Tell it something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Wait for its next word. Raises RuntimeError when it has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench.{self._module} ended with status {self._process.wait(10)}")
        return json.loads(line)

    def ask(self, told: Any) -> Any:
        """Tell and wait."""
        self.say(told)
        return self.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Its standard input ends, which tells it to go; whoever does not is ended.
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def hear() -> Any:
    """A worker's side: the next word of the row. Raises EOFError when there will be none."""
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return json.loads(line)


def say(told: Any) -> None:
    """A worker's side: tell the row something."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
