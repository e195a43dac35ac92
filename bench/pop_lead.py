"""Row: how long before the agent's phone rings the customer is on her screen: real Asterisk, SIP phones, Chromium.

Seen from outside at both ends: when the browser had drawn the pop (Chromium says so itself) and when the INVITE reached the
phone. Nothing the daemon says of itself is used, but the instant of its decision, which is part of the pop.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.installation import DNIS, PASSWORD, Installation
from bench.row import Figures, Goal, Line, Row, Say, Scale, percentile
from bench.sip_callers import SipCallers, fresh
from tests.browser.chromium import QUIET, find_chromium
from tests.pbx.sipp import SippPhone

AGENTS = 5
PER_S = 1.8
RING_S, TALK_S = 0.3, 0.3

# Instants as Unix seconds. `came`: an offer's first pop; `painted`: the page told the server it is on the glass; `drawn`:
# the browser's own word (Element Timing) for the customer's name.
WITNESS = """
window.witness = {came: [], painted: [], drawn: []};
const at = (ms) => (performance.timeOrigin + ms) / 1000;
const Plain = window.WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({data}) => {
      const {key, value} = JSON.parse(data);
      if (key !== "pop" || !value || value.phase !== "offered" || value.version !== 1) return;
      window.witness.came.push({offer: value.offer, offered_at: value.offered_at, at: at(performance.now())});
    });
  }
  send(text) {
    const said = JSON.parse(text);
    if (said.type === "painted") window.witness.painted.push({offer: said.offer, at: at(performance.now())});
    return super.send(text);
  }
};
new PerformanceObserver((seen) => {
  for (const entry of seen.getEntries()) window.witness.drawn.push(at(entry.renderTime));
}).observe({type: "element", buffered: true});
"""


class Desk:
    """One agent: her page in Chromium and her phone."""

    def __init__(self, name: str, browser: Browser, phone: SippPhone, url: str) -> None:
        self._phone = phone
        context = browser.new_context(viewport={"width": 1366, "height": 768})
        context.add_init_script(WITNESS)
        self.page: Page = context.new_page()
        self.page.goto(url)
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.get_by_text("Connected", exact=True).wait_for()
        self.page.keyboard.press("Alt+r")
        self.page.locator("[data-availability=ready]").wait_for()

    def offers(self) -> list[dict[str, float]]:
        """Each offer: when it was decided, when its pop came and was on the glass, when the phone was told to ring."""
        seen: dict[str, Any] = self.page.evaluate("window.witness")
        painted = {one["offer"]: one["at"] for one in reversed(seen["painted"])}
        invites = [one.at for one in self._phone.messages() if one.line.startswith("INVITE") and not one.is_sent]
        came = seen["came"]
        found = []
        for number, one in enumerate(came):
            until = came[number + 1]["offered_at"] if number + 1 < len(came) else float("inf")
            rings = [at for at in invites if one["offered_at"] <= at < until]
            drawn = [at for at in seen["drawn"] if one["at"] <= at < until]
            if rings:
                shown = min(drawn, default=painted.get(one["offer"], float("inf")))
                found.append({"decided": one["offered_at"], "came": one["at"], "shown": shown, "rang": rings[0]})
        return found


def _figures(offers: Sequence[dict[str, float]]) -> tuple[Figures, Figures]:
    """The lead of the pop, and the way of the decision to the phone; in milliseconds."""
    leads = [1000 * (one["rang"] - one["shown"]) for one in offers]
    to_phone = [1000 * (one["rang"] - one["decided"]) for one in offers]
    to_page = [1000 * (one["came"] - one["decided"]) for one in offers]
    shares = {"calls": len(leads), "pop first %": 100 * sum(lead > 0 for lead in leads) / max(1, len(leads))}
    # For a lead the bad end is the short one: its p95 is what 95 % of the pops had at least.
    lead = {f"p{100 - short} ms": percentile(leads, short / 100) for short in (50, 5, 1)}
    ways = {f"p{much} ms": percentile(to_phone, much / 100) for much in (50, 95, 99)}
    page = {f"to the page p{much} ms": percentile(to_page, much / 100) for much in (50, 99)}
    return {**shares, **lead}, {"calls": len(leads), **ways, **page}


def _calls(installation: Installation, browser: Browser, phones: Sequence[SippPhone], much: int, say: Say) -> Any:
    desks = [
        Desk(name, browser, phone, installation.url) for name, phone in zip(installation.agents, phones, strict=True)
    ]
    spent = installation.daemon_cpu_s()
    callers = SipCallers(installation.folder / "callers", installation.lab.ports.sip, DNIS, PER_S, much, 30.0)
    try:
        for second in range(int(much / PER_S) + 60):
            count = callers.count()
            say(f"{count.good} of {much} calls through Asterisk, {count.failed} failed")
            if count.good + count.failed >= much:
                break
            # Playwright's events are read while we wait, not by a sleep.
            desks[second % len(desks)].page.wait_for_timeout(1000)
    finally:
        callers.stop()
    count = callers.count()
    offers = [offer for desk in desks for offer in desk.offers()]
    return offers, count, 1000 * (installation.daemon_cpu_s() - spent) / max(1, count.placed)


def run(scale: Scale, say: Say) -> Row:
    """At least 200 calls, five agents."""
    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium on PATH: apt-get install chromium")
    agents, much = scale.of(AGENTS, 2), scale.of(210, 8)
    say("starting Asterisk and the daemon")
    no_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with Installation(fresh("pop_lead"), agents) as installation, sync_playwright() as playwright, ExitStack() as stack:
        installation.start_daemon()
        phones = [
            stack.enter_context(SippPhone(name, port, installation.folder, RING_S, TALK_S))
            for name, port in installation.phone_ports.items()
        ]
        say("signing agents in")
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*QUIET, *no_sandbox])
        try:
            offers, count, cpu_ms = _calls(installation, browser, phones, much, say)
        finally:
            browser.close()
    lead, way = _figures(offers)
    return Row(
        title="Pop lead: painted in Chromium before the agent's phone rings",
        how=f"{count.placed} SIPp callers, {PER_S:g} a second, {agents} agents in Chromium with SIPp phones that ring "
        f"{RING_S:g} s and talk {TALK_S:g} s; Asterisk, daemon, Chromium and SIPp on the same cores. Painted: when the "
        "browser presented the frame with the customer's name (Element Timing). Leads: p95 is what 95 % of the pops had "
        f"at least. The daemon took {cpu_ms:.1f} ms of processor time a call.",
        lines=[Line("lead of the pop before the ring", lead), Line("decision to INVITE at the phone", way)],
        goals=[
            Goal("calls in which the pop came first", lead["pop first %"], 100, unit="%"),
            Goal("calls measured", lead["calls"], scale.of(200, 6), unit=""),
            Goal("calls failed", count.failed, 0, True, ""),
        ],
    )
