"""The first real call in a real browser: SIP caller, real Asterisk, daemon, Chromium, SIP phone, history, next pop."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cti.demo.lab import find_or_install
from tests.browser.chromium import EARS, QUIET, STATIC, find_chromium
from tests.pbx.house import PASSWORD, House, found_template
from tests.pbx.sipp import require_sipp

pytestmark = [pytest.mark.browser, pytest.mark.pbx]

SALES = [(1.5, "1")]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation without its addresses."""
    return found_template(tmp_path_factory.mktemp("template") / "house")


@pytest.fixture
def house(template: Path, tmp_path: Path) -> Iterator[House]:
    """A fresh installation, running."""
    require_sipp()
    with House(find_or_install(), template, tmp_path / "house") as house:
        yield house


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium."""
    path = find_chromium()
    assert path is not None, "no Chromium on PATH: apt-get install chromium"
    assert (STATIC / "index.html").is_file(), "the pages are not built: run `make console`"
    no_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*QUIET, *no_sandbox])
        yield browser
        browser.close()


def sit_down(chromium: Browser, house: House) -> tuple[BrowserContext, Page, list[str]]:
    """Ann signs in and goes ready; her page, and what it complains of."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    context.add_init_script(EARS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(house.base_url)
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    page.keyboard.press("Alt+r")
    expect(page.locator("[data-availability=ready]")).to_be_visible()
    return context, page, complaints


def test_pop_painted_before_the_ring_written_up_and_in_the_next_pop(house: House, chromium: Browser) -> None:
    """Chromium has drawn the customer before the SIP phone is told to ring; the wrap-up is in the next call's pop."""
    _, page, complaints = sit_down(chromium, house)
    phone = house.phone("a1", answers=1.0)
    caller = house.caller(keys=SALES, talk_s=10.0)
    expect(page.locator("[data-phase=offered]")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("article")).to_contain_text("Grace Novak")
    painted_at = float(house.steps("PopPainted")[0]["at"])
    assert painted_at < phone.wait_for("INVITE").at
    assert page.evaluate("ears.painted[0].frame - ears.came[0].frame") >= 2
    expect(page.locator("[data-phase=answered]")).to_be_visible(timeout=20_000)
    caller.wait()
    expect(page.locator("[data-phase=wrap_up]")).to_be_visible(timeout=20_000)
    page.get_by_label("Sold").check()
    page.get_by_label("Note").fill("Wants it in red.")
    page.keyboard.press("Control+Enter")
    contact = house.contact()
    assert (contact["disposition"], contact["note"], contact["outcome"]) == ("sold", "Wants it in red.", "answered")
    house.caller(keys=SALES, talk_s=8.0)
    expect(page.get_by_role("region", name="Last contacts")).to_contain_text("Wants it in red.", timeout=20_000)
    assert complaints == []


def test_a_hostile_caller_name_changes_nothing(house: House, chromium: Browser) -> None:
    """A caller named like an attack is shown by that name, as text; no script runs, no element appears."""
    _, page, complaints = sit_down(chromium, house)
    house.phone("a1", answers=0.5)
    house.caller(ani="+13105550777", name="<img src=x onerror=alert(1)>", keys=[(1.5, "1"), (2.0, "#")], talk_s=12.0)
    expect(page.locator("[data-phase=answered]")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("article")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("article img").count() == 0
    assert complaints == []


def test_a_reload_in_mid_call_shows_the_truth_within_a_second(house: House, chromium: Browser) -> None:
    """Reloaded while talking: the same contact, phase and draft are back within a second; the talk goes on."""
    _, page, _ = sit_down(chromium, house)
    phone = house.phone("a1", answers=0.5)
    house.caller(keys=SALES, talk_s=25.0)
    expect(page.locator("[data-phase=answered]")).to_be_visible(timeout=20_000)
    page.get_by_label("Note").fill("half a sentence")
    expect(page.get_by_text("Draft saved")).to_be_visible(timeout=10_000)
    page.reload()
    expect(page.locator("[data-phase=answered]")).to_be_visible(timeout=1000)
    expect(page.get_by_role("article")).to_contain_text("Grace Novak", timeout=1000)
    expect(page.get_by_label("Note")).to_have_value("half a sentence", timeout=1000)
    assert phone.count("BYE") == 0


def test_two_tabs_ring_once(house: House, chromium: Browser) -> None:
    """Two tabs of one agent: one rings, both show the pop, the phone is called once."""
    context, page, _ = sit_down(chromium, house)
    other = context.new_page()
    other.goto(house.base_url)
    expect(other.get_by_text("Connected", exact=True)).to_be_visible()
    phone = house.phone("a1", answers=4.0)
    house.caller(keys=SALES, talk_s=12.0)
    for tab in (page, other):
        expect(tab.locator("[data-phase=offered]")).to_be_visible(timeout=20_000)
    expect(page.locator("[data-phase=answered]").or_(page.locator("[data-phase=offered]")).first).to_be_visible()
    ringing = [tab.locator("html[data-ringing]").count() for tab in (page, other)]
    assert sum(ringing) == 1
    phone.wait_for("SIP/2.0 180")
    assert phone.count("INVITE") == 1
