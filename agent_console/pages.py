"""The built pages, read once into memory: a path outside them finds nothing, and no disk is touched for a request.

A single page app: a path without a file of its own gets index.html. A checkout that was not built says so.
"""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

STATIC = Path(__file__).parent / "static"

NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Offhook</title>
<h1>The console is not built</h1>
<p>The daemon works, but the pages are missing from this checkout. Run <code>make console</code> and load this page again.</p>
"""

FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is served."""

    body: bytes
    media_type: str
    etag: str
    cache_control: str


class Pages:
    """Every file under `folder`."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._pages: dict[str, Page] = {}

    async def serve(self, request: Request) -> Response:
        """The page for this path."""
        if not self._pages:
            self._pages = _read(self._folder)
        path = request.url.path.lstrip("/")
        page = self._pages.get(path)
        if page is None and "." not in path.rsplit("/", 1)[-1]:
            page = self._pages.get("index.html")
            if page is None:
                return HTMLResponse(NOT_BUILT, 503, {"cache-control": "no-store"})
        if page is None:
            return Response("There is no such page.\n", 404, media_type="text/plain")
        headers = {"etag": page.etag, "cache-control": page.cache_control}
        if request.headers.get("if-none-match") == page.etag:
            return Response(status_code=304, headers=headers)
        return Response(page.body, 200, headers, page.media_type)


def _read(folder: Path) -> dict[str, Page]:
    if not (folder / "index.html").is_file():
        return {}
    return {
        path.relative_to(folder).as_posix(): _page(path, path.relative_to(folder).as_posix())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _page(path: Path, name: str) -> Page:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    # Vite names what is under assets/ after its content: such a file never changes.
    cache_control = FOREVER if name.startswith("assets/") else "no-cache"
    return Page(body, mimetypes.guess_type(name)[0] or "application/octet-stream", etag, cache_control)
