"""Callers at a rate: one SIPp, no audio, each call its own number; what became of them, by SIPp's own count."""

import csv
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import worker
from cti.demo.lab import CALLER_ADDRESS
from tests.pbx.sipp import free_port

_SCENARIO = Path(__file__).parent / "scenarios" / "caller.xml"


@dataclass(frozen=True, slots=True)
class Count:
    """How it went: calls begun, calls whose every step went as it should, calls in which one did not."""

    placed: int
    good: int
    failed: int
    rate: float


class SipCallers:
    """`count` callers of `dnis`, `per_s` of them a second; each stays `stay_s` unless the PBX hangs up before."""

    def __init__(self, folder: Path, sip_port: int, dnis: str, per_s: float, count: int, stay_s: float) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        text = _SCENARIO.read_text(encoding="utf-8").replace("@DNIS@", dnis)
        (folder / "scenario.xml").write_text(text.replace("@STAY_MS@", str(int(stay_s * 1000))), encoding="utf-8")
        numbers = "".join(f"+1202{5_550_000 + number}\n" for number in range(1000))
        (folder / "numbers.csv").write_text("SEQUENTIAL\n" + numbers, encoding="utf-8")
        # SIPp takes whole calls a period only: a rate of 2.2 is 22 in ten seconds.
        rate = ["-r", str(round(per_s * 10)), "-rp", "10000"] if per_s < 10 else ["-r", str(round(per_s))]
        command = ["sipp", "-sf", "scenario.xml", "-inf", "numbers.csv", *rate, "-m", str(count)]
        command += ["-i", CALLER_ADDRESS, "-p", str(free_port(CALLER_ADDRESS)), "-mi", CALLER_ADDRESS, "-nostdin"]
        command += ["-trace_stat", "-stf", "counts.csv", "-fd", "1", "-trace_err", "-error_file", "errors.log"]
        with (folder / "screen.log").open("wb") as out:
            self._process = subprocess.Popen(
                [*command, f"127.0.0.1:{sip_port}"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder
            )

    def count(self) -> Count:
        """As of a second ago."""
        try:
            rows = list(csv.DictReader((self._folder / "counts.csv").open(encoding="utf-8"), delimiter=";"))
        except FileNotFoundError:
            rows = []
        if not rows:
            return Count(0, 0, 0, 0.0)
        last = rows[-1]
        placed, good, failed = (int(last[f"{name}(C)"]) for name in ("OutgoingCall", "SuccessfulCall", "FailedCall"))
        return Count(placed, good, failed, float(last["CallRate(C)"]))

    def wait(self, within_s: float) -> Count:
        """Until all have called; those who have not by then are ended and count as failed."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.stop()
            found = self.count()
            return Count(found.placed, found.good, found.placed - found.good, found.rate)
        return self.count()

    def stop(self) -> None:
        """End it now."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def fresh(name: str) -> Path:
    """An empty place for a folder of this name under .run/bench; the folder itself is not made."""
    folder = worker.RUN_DIR / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
