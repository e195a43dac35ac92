"""Row: one-leg calls a second through the real Asterisk, from the trunk by entry and FastAGI to hold, with no failure.

SIPp callers without audio, answered by the dialplan at the daemon's word, a second on hold, then they hang up. The rate goes
up in steps until one call fails; the floor is the same Asterisk and dialplan with a bare FastAGI server in our place.
"""

import time
from collections.abc import Callable
from itertools import takewhile

from bench import worker
from bench.installation import DNIS, TOKEN, Installation
from bench.row import Figures, Line, Row, Say, Scale
from bench.sip_callers import Count, SipCallers, fresh

RATES = (20, 40, 60, 80, 100, 120, 150, 200)
LASTING_S = 4
STAY_S = 1.0


def _step(installation: Installation, name: str, per_s: int, lasting_s: float) -> Count:
    folder = installation.folder / f"{name}-{per_s}"
    callers = SipCallers(folder, installation.lab.ports.sip, DNIS, per_s, int(per_s * lasting_s), STAY_S)
    return callers.wait(lasting_s + 15)


def _highest(step: Callable[[int], bool]) -> float:
    """The last rate of those up to which every step went well."""
    return max(takewhile(step, RATES), default=0)


def _ours(installation: Installation, lasting_s: float, say: Say) -> Figures:
    placed = 0
    cpu_ms: list[float] = []

    def goes_well(per_s: int) -> bool:
        nonlocal placed
        say(f"ours: {per_s} calls a second")
        spent = installation.daemon_cpu_s()
        held = installation.counter('offhook_facts_total{kind="CallQueued"}')
        count = _step(installation, "ours", per_s, lasting_s)
        time.sleep(0.5)
        held = installation.counter('offhook_facts_total{kind="CallQueued"}') - held
        left = installation.counter('offhook_facts_total{kind="CallFailedSafe"}')
        placed += count.placed
        cpu_ms.append(1000 * (installation.daemon_cpu_s() - spent) / max(1, count.placed))
        return count.failed == 0 and not left and held == count.placed == int(per_s * lasting_s)

    highest = _highest(goes_well)
    return {"calls/s with no failure": highest, "daemon's CPU ms/call": min(cpu_ms), "calls placed": placed}


def _bare(installation: Installation, lasting_s: float, say: Say) -> Figures:
    placed = 0

    def goes_well(per_s: int) -> bool:
        nonlocal placed
        say(f"bare FastAGI server: {per_s} calls a second")
        count = _step(installation, "bare", per_s, lasting_s)
        placed += count.placed
        return count.failed == 0 and count.placed == int(per_s * lasting_s)

    with worker.Worker("bare_agi", installation.agi_port, TOKEN) as server:
        assert server.hear() == "listening"
        return {"calls/s with no failure": _highest(goes_well), "calls placed": placed}


def run(scale: Scale, say: Say) -> Row:
    """Ours, then the floor on the same Asterisk."""
    lasting_s = scale.of(LASTING_S, 1)
    say("starting Asterisk and the daemon")
    with Installation(fresh("one_leg"), agents=1) as installation:
        installation.start_daemon()
        ours = _ours(installation, lasting_s, say)
        installation.stop_daemon()
        bare = _bare(installation, lasting_s, say)
    return Row(
        title="One-leg calls a second through the real Asterisk",
        how=f"SIPp, no audio; {lasting_s} s at each rate ({', '.join(map(str, RATES))}), {STAY_S:g} s on hold; a step "
        "fails with one call that fails, reaches the failsafe, or is not in the daemon's queue. One after the other, Asterisk, "
        "SIPp and the daemon on the same cores.",
        lines=[Line("ours: the whole daemon", ours), Line("floor: a bare FastAGI server", bare)],
        goals=[],
    )
