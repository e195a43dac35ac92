"""One row in a process of its own: `python -m bench.one NAME [--quick]`; says lines of JSON, the row itself last."""

import signal
import sys
import time
from importlib import import_module
from types import FrameType

from bench.row import Scale
from bench.worker import say


def _leave(number: int, frame: FrameType | None) -> None:
    # As an exception: what the row has started, it stops.
    raise SystemExit(f"ended by signal {number}")


def main() -> None:
    """Run it."""
    signal.signal(signal.SIGTERM, _leave)
    name, began = sys.argv[1], time.monotonic()
    row = import_module(f"bench.{name}").run(Scale("--quick" in sys.argv), lambda words: say({"say": words}))
    say({"row": {**row.to_json(), "took_s": round(time.monotonic() - began, 1)}})


if __name__ == "__main__":
    main()
