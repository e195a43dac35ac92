"""The browser of these tests: the machine's own Chromium, with ears on what a page sends, draws, sounds and complains of."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

WEB = Path(__file__).parents[2] / "agent_console" / "web"
STATIC = WEB.parent / "static"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without these, Chromium calls home at every start.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=user-gesture-required",
)

# What each page is watched for: notes played, frames begun, at which of them a pop came and `painted` was sent (with what
# the card then said), and when the browser itself says the name was drawn (Element Timing).
EARS = """
window.ears = {notes: 0, frames: 0, came: [], painted: [], drawn: []};
const frame = () => { window.ears.frames++; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.ears.notes++; return start.apply(this, when); };
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  const said = JSON.parse(text);
  const card = document.querySelector("article header")?.textContent;
  if (said.type === "painted") window.ears.painted.push({...said, frame: window.ears.frames, card});
  return send.call(this, text);
};
const handler = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
Object.defineProperty(WebSocket.prototype, "onmessage", {set(hear) {
  handler.set.call(this, (message) => {
    const {key, value} = JSON.parse(message.data);
    if (key === "pop" && value) window.ears.came.push({version: value.version, frame: window.ears.frames});
    return hear(message);
  });
}});
new PerformanceObserver((seen) => {
  for (const entry of seen.getEntries()) window.ears.drawn.push({name: entry.identifier, at: entry.renderTime});
}).observe({type: "element", buffered: true});
"""


def find_chromium() -> str | None:
    """The browser's path, None when there is none on PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    """A headless Chromium; skips where the machine has none, fails where the pages are not built."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on PATH (apt install chromium)")
    if not (STATIC / "index.html").is_file():
        pytest.fail("the pages are not built: run `make console`")
    no_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses to run as root
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=[*QUIET, *no_sandbox])
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """One page and everything it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _note(self, kind: str, text: str) -> None:
        # Whether somebody is signed in is asked once before there can be a session; Chromium reports every 401.
        if kind in ("error", "warning") and "401 (Unauthorized)" not in text:
            self.complaints.append(f"{kind}: {text}")


async def open_context(browser: Browser, scheme: str = "light") -> BrowserContext:
    """A browser profile of its own on the smallest usual screen."""
    context = await browser.new_context(
        viewport={"width": 1366, "height": 768}, color_scheme="dark" if scheme == "dark" else "light"
    )
    await context.add_init_script(EARS)
    return context


async def open_page(context: BrowserContext) -> Watched:
    """A new tab."""
    return Watched(await context.new_page())


async def until(page: Page, claim: str) -> None:
    """Wait until this expression is true in the page (`wait_for_function` needs an eval the pages' policy forbids)."""
    await page.evaluate(
        f"new Promise((done) => {{ const look = () => {claim} ? done() : requestAnimationFrame(look); look(); }})"
    )


async def axe_violations(page: Page) -> list[str]:
    """What axe-core has against the page as it is now."""
    if not AXE.is_file():
        pytest.fail("axe-core is not there: run `npm ci` in agent_console/web")
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]
