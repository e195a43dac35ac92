"""What every room's service needs beside its machine: one alarm, and errands that may wait while the machine does not."""

import asyncio
from collections.abc import Callable, Coroutine

from cti.clock import Clock


class Alarm:
    """Calls `wake` when the machine's next deadline has come; one deadline at a time."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._due: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due: float | None) -> None:
        """Ring at `due` (Unix seconds) instead of whenever it was; None: not at all."""
        if due == self._due:
            return
        self.cancel()
        if due is not None:
            self._due = due
            wait_s = max(0.0, due - self._clock.now())
            self._handle = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def cancel(self) -> None:
        """Don't ring."""
        if self._handle is not None:
            self._handle.cancel()
        self._due = self._handle = None

    def _ring(self) -> None:
        self._due = self._handle = None
        self._wake()


class Errands:
    """A room's tasks under way, in its task group; dropped all at once when the room closes."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, errand: Coroutine[None, None, None]) -> None:
        """Begin this errand."""
        task = self._tasks.create_task(errand)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def cancel(self) -> None:
        """Drop what is under way."""
        for task in self._under_way:
            task.cancel()
