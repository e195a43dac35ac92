"""What can be chosen for a demo."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """`for_s` None runs until Ctrl-C; a port of 0 is chosen freely; `calls_per_minute` is the mean rate."""

    folder: Path = Path(".run/demo")
    console_port: int = 8088
    sip_port: int = 0
    ami_port: int = 0
    agi_port: int = 0
    calls_per_minute: float = 8.0
    customers: int = 2000
    for_s: float | None = None
    as_json: bool = False
    seed: int = 7
