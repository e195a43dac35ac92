"""The pages in Chromium, on the real rooms, with a scripted PBX: what an agent and a supervisor see, hear and can do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from cti.events import AgentSignedOut, CallOffered, OfferRinging, PopPainted, WrapUpEnded
from cti.testing import HungUp, PickedUp
from tests.browser.chromium import Watched, axe_violations, open_chromium, open_context, open_page, until
from tests.browser.house import KNOWN, NOBODYS, PASSWORD, SHARED, House, TestCall, open_house

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = '<img src=x onerror="alert(1)">'
TURNED = "\u202etfel ot thgir\u202e\u2066"
HOSTILE = f"{SCRIPT}{TURNED}" + "W" * 500


@pytest_asyncio.fixture(loop_scope="module")
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, HOSTILE) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program() -> AsyncIterator[Browser]:
    async with open_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def chromium(program: Browser) -> AsyncIterator[Browser]:
    yield program
    for context in program.contexts:
        await context.close()


async def sign_in(page: Page, house: House, name: str = "ann") -> None:
    """By keyboard only: the first field has the focus."""
    await page.goto(house.url)
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()


async def ready_agent(chromium: Browser, house: House, scheme: str = "light") -> Watched:
    """Ann, signed in and ready."""
    watched = await open_page(await open_context(chromium, scheme))
    await sign_in(watched.page, house)
    await watched.page.keyboard.press("Alt+r")
    await expect(watched.page.locator("[data-availability=ready]")).to_be_visible()
    return watched


async def offered(house: House, page: Page, ani: str = KNOWN, number: int = 1, caller_name: str = "") -> TestCall:
    """A call from `ani` rings at Ann's; it is the `number`-th to ring."""
    call = house.call()
    call.arrive(ani, caller_name)
    call.ring(await house.rung(number))
    await expect(page.locator("[data-phase=offered]")).to_be_visible()
    return call


async def talking(house: House, page: Page, **more: object) -> TestCall:
    """Ann talks to the caller."""
    call = await offered(house, page, **more)  # type: ignore[arg-type]
    call.pick_up()
    await expect(page.locator("[data-phase=answered]")).to_be_visible()
    return call


async def test_the_pop_is_painted_before_the_phone_rings(house: House, chromium: Browser) -> None:
    """The browser has drawn the customer before it says so; the phone rings after that, or after 150 ms."""
    watched = await ready_agent(chromium, house)
    await offered(house, watched.page)
    await until(watched.page, "ears.drawn.length > 0 && ears.painted.length > 0")
    for kind in (PopPainted, OfferRinging):
        await house.told(kind)
    made, painted, ringing = (house.of(kind)[0].at for kind in (CallOffered, PopPainted, OfferRinging))
    assert ringing >= min(painted, made + 0.150)
    ears = await watched.page.evaluate("ears")
    painted_first, came = ears["painted"][0], {one["version"]: one["frame"] for one in ears["came"]}
    assert "María Fernández" in painted_first["card"]
    assert painted_first["frame"] >= came[painted_first["version"]] + 2
    assert watched.complaints == []


async def test_from_sign_in_to_a_finished_wrap_up_by_keyboard(house: House, chromium: Browser) -> None:
    """Every step of a contact can be done without a mouse, and the next call from that number shows it."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    call = await offered(house, page)
    await page.keyboard.press("Alt+a")
    await house.pbx.wait_for(PickedUp)
    call.pick_up()
    await expect(page.locator("[data-phase=answered]")).to_be_visible()
    await page.keyboard.press("Alt+h")
    await house.pbx.wait_for(HungUp)
    call.end()
    await expect(page.locator("[data-phase=wrap_up]")).to_be_visible()
    await page.keyboard.press("Alt+w")
    await page.keyboard.type("fo")
    await expect(page.get_by_label("Follow-up promised")).to_be_checked()
    await page.keyboard.press("Tab")
    await page.keyboard.type("Technician on Thursday.")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("Ready for the next contact")).to_be_visible()
    (ended,) = house.of(WrapUpEnded)
    assert isinstance(ended, WrapUpEnded)
    assert (ended.disposition, ended.note) == ("follow_up", "Technician on Thursday.")
    await house.closed(call.call)
    await offered(house, page, number=2)
    history = page.get_by_role("region", name="Last contacts")
    await expect(history.get_by_text("Follow-up promised")).to_be_visible()
    await expect(history.get_by_text("Technician on Thursday.")).to_be_visible()
    assert watched.complaints == []


async def test_finishing_needs_a_disposition(house: House, chromium: Browser) -> None:
    """Without a disposition the page says what is missing and takes the agent there."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    (await talking(house, page)).end()
    await expect(page.locator("[data-phase=wrap_up]")).to_be_visible()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("alert").get_by_text("Choose what the contact came to.")).to_be_visible()
    await expect(page.get_by_role("radio").first).to_be_focused()
    assert house.of(WrapUpEnded) == []


async def test_hostile_names_are_text(house: House, chromium: Browser) -> None:
    """Markup, direction overrides and 500 characters from outside change nothing, open nothing, and break no layout."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    await talking(house, page, ani="+12025550166", caller_name=HOSTILE)
    await expect(page.get_by_role("article", name="Caller").get_by_text(SCRIPT).first).to_be_visible()
    assert await page.locator("[data-phase] img, [data-wrap-up] img").count() == 0
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1366
    hang_up = await page.get_by_role("button", name="Hang up").bounding_box()
    assert hang_up is not None
    assert hang_up["x"] + hang_up["width"] <= 1366
    assert await axe_violations(page) == []
    assert watched.complaints == []


async def test_a_reload_in_mid_contact_shows_the_truth_with_the_draft(house: House, chromium: Browser) -> None:
    """Within a second of a reload the contact is there again, and what was typed before it."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    await talking(house, page)
    await page.keyboard.press("Alt+w")
    await page.keyboard.press("Space")
    await page.get_by_role("textbox", name="Note").fill("Half a sentence")
    await page.reload(wait_until="commit")
    await expect(page.locator("[data-phase=answered]")).to_be_visible(timeout=1000)
    await expect(page.get_by_text("María Fernández")).to_be_visible(timeout=1000)
    await expect(page.get_by_role("textbox", name="Note")).to_have_value("Half a sentence", timeout=1000)
    await expect(page.get_by_role("radio").first).to_be_checked()
    assert watched.complaints == []


async def test_a_draft_is_kept_while_typing(house: House, chromium: Browser) -> None:
    """What is typed in one tab is on the server within 2 s and shows in the other."""
    watched = await ready_agent(chromium, house)
    other = await open_page(watched.page.context)
    await other.page.goto(house.url)
    await talking(house, watched.page)
    await watched.page.get_by_role("textbox", name="Note").fill("Seen in both")
    await expect(other.page.get_by_role("textbox", name="Note")).to_have_value("Seen in both", timeout=4000)


async def test_two_tabs_ring_once_and_stop_together(house: House, chromium: Browser) -> None:
    """One tab makes the sound and flashes its title; answering in the other ends it."""
    first = await ready_agent(chromium, house)
    second = await open_page(first.page.context)
    await second.page.goto(house.url)
    await expect(second.page.get_by_text("Connected", exact=True)).to_be_visible()
    await second.page.keyboard.press("Tab")  # a browser sounds only where the person has touched the page
    await offered(house, second.page)
    await expect(first.page.locator("html[data-ringing]")).to_have_count(1)
    await until(first.page, "ears.notes > 0")
    assert await second.page.locator("html[data-ringing]").count() == 0
    assert await second.page.evaluate("ears.notes") == 0
    await second.page.keyboard.press("Alt+a")
    await expect(first.page.locator("html[data-ringing]")).to_have_count(0)
    assert await first.page.title() == "Offhook"


async def test_another_tab_takes_over_the_bell(house: House, chromium: Browser) -> None:
    """When the tab that would ring is closed, the other rings."""
    first = await ready_agent(chromium, house)
    second = await open_page(first.page.context)
    await second.page.goto(house.url)
    await expect(second.page.get_by_text("Connected", exact=True)).to_be_visible()
    await first.page.close()
    await offered(house, second.page)
    await expect(second.page.locator("html[data-ringing]")).to_have_count(1)


async def test_the_focus_is_not_stolen(house: House, chromium: Browser) -> None:
    """A pop leaves the focus where it is, and a talk that ends does not interrupt the sentence being typed."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    await page.keyboard.press("Alt+n")
    await expect(page.get_by_role("menuitem").first).to_be_focused()
    call = await offered(house, page)
    await expect(page.get_by_role("menuitem").first).to_be_focused()
    call.pick_up()
    note = page.get_by_role("textbox", name="Note")
    await expect(note).to_be_enabled()
    await note.focus()
    await page.keyboard.type("The line drops ")
    call.end()
    await expect(page.locator("[data-phase=wrap_up]")).to_be_visible()
    await expect(note).to_be_focused()
    await page.keyboard.type("every evening")
    await expect(note).to_have_value("The line drops every evening")


async def test_a_shared_number_is_picked_from(house: House, chromium: Browser) -> None:
    """A shared number shows no record until the agent says who it is; the pick is then shown as hers."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    await offered(house, page, ani=SHARED)
    await expect(page.get_by_text("Shared number", exact=True)).to_be_visible()
    await page.keyboard.press("Alt+p")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Shift+Tab")
    picked = await page.evaluate("document.activeElement.querySelector('strong').textContent.trim()")
    await page.keyboard.press("Enter")
    card = page.get_by_role("article", name="Caller")
    await expect(card.locator("header")).to_contain_text(picked)
    await card.get_by_role("button", name="Pick again").click()
    await card.get_by_role("button", name="None of these").click()
    await expect(card.locator("header").get_by_text("Unknown caller")).to_be_visible()
    assert watched.complaints == []


@pytest.mark.parametrize(("ani", "says"), [(NOBODYS, "Unknown caller"), ("", "Number withheld")])
async def test_an_unknown_caller_is_said_to_be_one(house: House, chromium: Browser, ani: str, says: str) -> None:
    """Who is not known gets an honest card and nobody's record."""
    watched = await ready_agent(chromium, house)
    await offered(house, watched.page, ani=ani)
    await expect(watched.page.get_by_role("article", name="Caller").locator("header").get_by_text(says)).to_be_visible()
    assert watched.complaints == []


async def test_a_lost_link_is_said_and_mended(house: House, chromium: Browser) -> None:
    """While the browser is off the network the page says since when, and is true again after."""
    watched = await ready_agent(chromium, house)
    page = watched.page
    call = await talking(house, page)
    await page.context.set_offline(True)
    await expect(page.get_by_text("Connection lost at")).to_be_visible()
    await expect(page.get_by_role("button", name="Hang up")).to_be_disabled()
    call.end()
    await page.context.set_offline(False)
    await expect(page.locator("[data-phase=wrap_up]")).to_be_visible()
    await expect(page.get_by_text("Connection lost at")).to_have_count(0)


async def test_a_wrong_password_is_said(house: House, chromium: Browser) -> None:
    """A wrong password gives a clear word, keeps the name, and goes back to the password."""
    watched = await open_page(await open_context(chromium))
    await watched.page.goto(house.url)
    await watched.page.get_by_label("Name").fill("ann")
    await watched.page.get_by_label("Password").fill("wrong")
    await watched.page.keyboard.press("Enter")
    await expect(watched.page.get_by_role("alert")).to_contain_text("Name and password don't match")
    await expect(watched.page.get_by_label("Password")).to_be_focused()
    await expect(watched.page.get_by_label("Name")).to_have_value("ann")


async def test_signing_out_ends_every_tab(house: House, chromium: Browser) -> None:
    """Signing out takes the agent off the floor, and the other tab says that the session is over."""
    first = await ready_agent(chromium, house)
    second = await open_page(first.page.context)
    await second.page.goto(house.url)
    await expect(second.page.get_by_text("Connected", exact=True)).to_be_visible()
    await first.page.get_by_role("button", name="Sign out").click()
    await expect(first.page.get_by_text("You are signed out.")).to_be_visible()
    await expect(second.page.get_by_text("Your session has ended.")).to_be_visible()
    assert len(house.of(AgentSignedOut)) == 1


async def test_a_refusal_is_said(house: House, chromium: Browser) -> None:
    """What the floor refuses is said in words, and the page stays as it was."""
    watched = await ready_agent(chromium, house)
    await talking(house, watched.page)
    await watched.page.get_by_role("button", name="Sign out").click()
    await expect(watched.page.get_by_role("alert").get_by_role("button", name="Dismiss")).to_be_visible()
    await expect(watched.page.locator("[data-phase=answered]")).to_be_visible()


async def test_the_supervisor_sees_the_floor_live(house: House, chromium: Browser) -> None:
    """Queues, waiting callers and agents move as the floor does, and sort by their heads."""
    ann = await ready_agent(chromium, house)
    watched = await open_page(await open_context(chromium))
    page = watched.page
    await sign_in(page, house, "sam")
    agents, waiting = page.get_by_role("table", name="Agents"), page.get_by_role("table", name="Waiting")
    await expect(agents.locator("[data-line=ann]")).to_contain_text("Ready")
    await talking(house, ann.page)
    await expect(agents.locator("[data-line=ann]")).to_contain_text("Talking")
    for ani in (NOBODYS, SHARED):
        house.call().arrive(ani)
    await expect(waiting.locator("tbody tr")).to_have_count(2)
    await expect(page.get_by_role("table", name="Queues").locator("[data-line=support] td").first).to_have_text("2")
    number = waiting.get_by_role("columnheader", name="Number")
    await number.get_by_role("button").focus()
    await expect(waiting.get_by_role("tooltip")).to_contain_text("as the network gave it")
    await page.keyboard.press("Enter")
    await expect(number).to_have_attribute("aria-sort", "ascending")
    await expect(waiting.locator("tbody tr").first).to_contain_text(SHARED)
    assert await axe_violations(page) == []
    assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_has_nothing_against_any_page(house: House, chromium: Browser, scheme: str) -> None:
    """Sign-in, idle, offered, talking and wrap-up have no violation, in light and in dark."""
    watched = await open_page(await open_context(chromium, scheme))
    page = watched.page
    await page.goto(house.url)
    await expect(page.get_by_label("Name")).to_be_focused()
    found = {"sign in": await axe_violations(page)}
    await sign_in(page, house)
    found["not ready"] = await axe_violations(page)
    await page.keyboard.press("Alt+n")
    found["reasons"] = await axe_violations(page)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Alt+r")
    call = await offered(house, page)
    found["offered"] = await axe_violations(page)
    call.pick_up()
    await expect(page.locator("[data-phase=answered]")).to_be_visible()
    found["talking"] = await axe_violations(page)
    call.end()
    await expect(page.locator("[data-phase=wrap_up]")).to_be_visible()
    found["wrap-up"] = await axe_violations(page)
    assert {state: violations for state, violations in found.items() if violations} == {}
    assert watched.complaints == []
