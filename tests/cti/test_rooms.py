"""Rooms are found by entry point: ours, and those of others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from acd.service import open_room as open_acd
from cti import rooms
from cti.errors import ConfigError
from cti.rooms import Hall, find_rooms
from cti.settings import DaemonSettings


@asynccontextmanager
async def open_annex(hall: Hall) -> AsyncIterator[None]:
    """A room of somebody else's."""
    yield


def test_every_room_of_the_default_settings_is_installed() -> None:
    """In the order in which they are to be opened."""
    names = DaemonSettings().rooms
    found = find_rooms(names)
    assert tuple(found) == names
    assert found["acd"] is open_acd


def test_a_room_of_others_is_found_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may offer one under the entry point's group."""
    annex = EntryPoint("annex", f"{__name__}:open_annex", rooms.GROUP)
    monkeypatch.setattr(rooms, "entry_points", lambda group: EntryPoints([annex]))
    monkeypatch.setattr(EntryPoint, "load", lambda self: open_annex)
    assert find_rooms(["annex"]) == {"annex": open_annex}


def test_rooms_nobody_offers_are_findings_all_at_once() -> None:
    """Each with the names there are to choose from."""
    with pytest.raises(ConfigError) as caught:
        find_rooms(["acd", "cellar", "attic"])
    assert [finding.why for finding in caught.value.findings] == [
        "no room called 'cellar' is installed",
        "no room called 'attic' is installed",
    ]
    assert "'acd'" in caught.value.findings[0].mend
