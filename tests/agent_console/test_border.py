"""Where a request may come from, what every answer carries, and what the API says when it says no."""

from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from agent_console.border import is_own_origin
from agent_console.pages import Pages
from agent_console.server import build_app
from cti.ids import CallId
from cti.requests import ContactSheet
from tests.agent_console.floor import ANN
from tests.agent_console.running import PASSWORD, Browser, running, to_the_end

SHEET = ContactSheet(
    call=CallId("17.1"),
    direction="in",
    started_at=1.0,
    ended_at=2.0,
    ani="030",
    caller_name="Eve",
    dnis="100",
    customer=None,
    queue="sales",
    language="en",
    reason="",
    outcome="answered",
    agents=(ANN,),
)


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [
        ("http://127.0.0.1:8088", "127.0.0.1:8088", True),
        ("https://cti.example", "cti.example", True),
        ("https://CTI.example", "cti.example", True),
        ("https://allowed.example", "cti.example", True),
        ("http://127.0.0.1:9999", "127.0.0.1:8088", False),
        ("https://cti.example.evil.example", "cti.example", False),
        ("https://evil.example/cti.example", "cti.example", False),
        ("https://user@cti.example", "cti.example", False),
        ("null", "cti.example", False),
        ("", "", False),
        ("file://", "", False),
    ],
)
def test_own_origin(origin: str, host: str, is_own: bool) -> None:
    """Only the very host that serves us, or one the operator named."""
    assert is_own_origin(origin, host, {"https://allowed.example"}) is is_own


@pytest.mark.asyncio
async def test_a_foreign_page_can_do_nothing(database: Path) -> None:
    """With a good cookie and a foreign Origin: 403 on the WebSocket and on every POST; its own origin is let in."""
    async with running(database) as run:
        cookie = await run.sign_in("ann")
        with pytest.raises(InvalidStatus) as refused:
            async with run.connect(cookie, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        async with run.connect(cookie, origin=run.url) as link:
            assert await Browser(link).hello() == "snapshot"
        async with httpx.AsyncClient(base_url=run.url, headers={"Origin": "https://evil.example"}) as client:
            for path in ("/api/sign-in", "/api/sign-out", "/anything"):
                reply = await client.post(path, json={"name": "ann", "password": PASSWORD}, headers={"Cookie": cookie})
                assert (reply.status_code, reply.json()["code"]) == (403, "foreign-origin")
        assert len(await run.accounts.agents_signed_in(run.hall.clock.now())) == 1


@pytest.mark.asyncio
async def test_no_session_no_socket(database: Path) -> None:
    """401 without a cookie, with a made-up one, and with a revoked one."""
    async with running(database) as run:
        revoked = await run.sign_in("ann")
        async with httpx.AsyncClient(base_url=run.url, headers={"Cookie": revoked}) as client:
            assert (await client.get("/api/me")).json() == {"name": "ann", "role": "agent", "agent": "ann"}
            assert (await client.post("/api/sign-out")).status_code == 204
            assert (await client.get("/api/me")).status_code == 401
        for cookie in ("", "offhook_session=guess", revoked):
            with pytest.raises(InvalidStatus) as refused:
                async with run.connect(cookie):
                    pass
            assert refused.value.response.status_code == 401


@pytest.mark.asyncio
async def test_signing_out_closes_the_open_sockets(database: Path) -> None:
    """A revoked session sees nothing more: its sockets are closed at once, those of others stay."""
    async with running(database) as run:
        cookie = await run.sign_in("ann")
        async with run.browser("ann", cookie) as ann, run.browser("ben") as ben:
            async with httpx.AsyncClient(base_url=run.url, headers={"Cookie": cookie}) as client:
                await client.post("/api/sign-out")
            assert (await to_the_end(ann.link))[0] == 4401
            assert (await ben.do(name="ready"))["type"] == "done"


@pytest.mark.asyncio
async def test_wrong_passwords_are_refused_then_braked(database: Path) -> None:
    """401 in the same words for a wrong name, 429 with Retry-After when it goes on; nothing of the password comes back."""
    async with running(database) as run, httpx.AsyncClient(base_url=run.url) as client:
        wrong = {"name": "ann", "password": "wrong horse"}
        said = await client.post("/api/sign-in", json={**wrong, "name": "nobody"})
        for _ in range(5):
            reply = await client.post("/api/sign-in", json=wrong)
            assert reply.status_code == 401
            assert reply.content == said.content
            assert "set-cookie" not in reply.headers
        reply = await client.post("/api/sign-in", json={**wrong, "password": PASSWORD})
        assert (reply.status_code, reply.json()["code"]) == (429, "too-many-tries")
        assert int(reply.headers["retry-after"]) > 0
        malformed = await client.post("/api/sign-in", json={"name": "ann", "pasword": "secret horse"})
        assert malformed.status_code == 422
        assert "secret horse" not in malformed.text


@pytest.mark.asyncio
async def test_the_cookie_is_out_of_reach(database: Path) -> None:
    """HttpOnly, SameSite=Lax, the whole site, for the session's hours."""
    async with running(database, session_hours=1) as run, httpx.AsyncClient(base_url=run.url) as client:
        reply = await client.post("/api/sign-in", json={"name": "sue", "password": PASSWORD})
        cookie = reply.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "max-age=3600" in cookie
        assert "path=/;" in cookie


@pytest.mark.asyncio
async def test_who_may_read_a_contact(database: Path) -> None:
    """The agent who had it, a supervisor and an admin; another agent is told it is not hers, nobody else gets in."""
    async with running(database) as run:
        run.rooms.sheets["17.1"] = SHEET
        expected = {"ann": 200, "ben": 404, "sue": 200, "root": 200}
        async with httpx.AsyncClient(base_url=run.url) as client:
            for name, status in expected.items():
                headers = {"Cookie": await run.sign_in(name)}
                reply = await client.get("/api/contacts/17.1", headers=headers)
                assert (name, reply.status_code) == (name, status)
                assert (await client.get("/api/contacts/17.2", headers=headers)).status_code == 404
            assert (await client.get("/api/contacts/17.1")).status_code == 401


@pytest.mark.asyncio
async def test_every_answer_carries_the_headers(database: Path) -> None:
    """Pages, API and errors alike: no scripts from elsewhere, no frames, no sniffing; the API is never cached."""
    async with running(database) as run, httpx.AsyncClient(base_url=run.url) as client:
        for path in ("/", "/agent", "/healthz", "/api/me", "/api/nothing", "/assets/none.js"):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
        assert (await client.get("/api/me")).headers["cache-control"] == "no-store"


@pytest.mark.asyncio
async def test_errors_are_problems(database: Path) -> None:
    """Whatever goes wrong is application/problem+json with status, title and a stable code."""
    async with running(database) as run, httpx.AsyncClient(base_url=run.url) as client:
        replies = [
            await client.get("/api/me"),
            await client.get("/api/nothing"),
            await client.post("/api/sign-in", content=b"no json", headers={"Content-Type": "application/json"}),
            await client.post("/api/sign-in", content=b"x" * 70_000),
            await client.delete("/api/me"),
        ]
        assert [reply.status_code for reply in replies] == [401, 404, 422, 413, 405]
        for reply in replies:
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.json()["status"] == reply.status_code


@pytest.mark.asyncio
async def test_machines_read_how_we_are(database: Path) -> None:
    """Alive is 200; ready is 200 or 503 with every part's word; metrics are Prometheus text."""
    async with running(database) as run, httpx.AsyncClient(base_url=run.url) as client:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/readyz")).json()["parts"]["console"]["is_up"]
        run.hall.health.say("pbx", False, "no link", 5.0)
        reply = await client.get("/readyz")
        assert reply.status_code == 503
        assert reply.json()["parts"]["pbx"] == {"is_up": False, "why": "no link", "since": 5.0}
        assert "offhook_console_browsers" in (await client.get("/metrics")).text


@pytest.mark.asyncio
async def test_pages_come_from_the_built_folder_and_nowhere_else(tmp_path: Path) -> None:
    """A file is served, a path of the app gets index.html, a path out of the folder gets nothing; unbuilt says so."""
    static = tmp_path / "static"
    pages = Pages(static)
    transport = httpx.ASGITransport(app=build_app(None, None, (), pages))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
        reply = await client.get("/")
        assert (reply.status_code, "make console" in reply.text) == (503, True)
        (static / "assets").mkdir(parents=True)
        (static / "index.html").write_text("<p>index")
        (static / "assets" / "a-1.js").write_text("1")
        (tmp_path / "secret.txt").write_text("secret")
        script = await client.get("/assets/a-1.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        again = await client.get("/assets/a-1.js", headers={"If-None-Match": script.headers["etag"]})
        assert again.status_code == 304
        assert (await client.get("/supervisor")).text == "<p>index"
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/secret.txt"):
            assert (await client.get(path)).status_code == 404
