"""Logs: one JSON object a line, of ours and of the libraries alike, and no secret in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cti import log
from cti.settings import AgiSettings, LogSettings, PbxSettings, Settings

SECRET = "hunter2-hunter2"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the lines go; logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    out = io.StringIO()
    log.set_up(LogSettings(level="info"), out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def read(out: io.StringIO) -> list[dict[str, Any]]:
    """Every line as JSON."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_are_json(lines: io.StringIO) -> None:
    """Level, time and fields on each; tracebacks are inside their line; what is below the level is not written."""
    structlog.get_logger().info("offer lapsed", call="1.1", agent="ann")
    structlog.get_logger().debug("not written")
    logging.getLogger("somebody.else").warning("disk is %s", "full")
    logging.getLogger("somebody.else").info("chatter")
    try:
        raise KeyError("lost")
    except KeyError:
        structlog.get_logger().exception("an ear failed", call="1.2")
        logging.getLogger("somebody.else").exception("it failed")
    first, second, third, fourth = read(lines)
    assert (first["event"], first["level"], first["call"], first["agent"]) == ("offer lapsed", "info", "1.1", "ann")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("disk is full", "warning")
    assert (third["event"], third["call"]) == ("an ear failed", "1.2")
    assert "KeyError: 'lost'" in third["exception"]
    assert "KeyError: 'lost'" in fourth["exception"]


def test_a_bound_call_is_on_every_line(lines: io.StringIO) -> None:
    """Whoever binds the call's id once has it on all that follows."""
    with structlog.contextvars.bound_contextvars(call="1.7"):
        structlog.get_logger().info("one")
        logging.getLogger("library").error("two")
    assert [line["call"] for line in read(lines)] == ["1.7", "1.7"]


@dataclass
class Peer:
    """Something with a secret in it."""

    name: str
    ami_secret: str


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": SECRET},
        {"AMI_SECRET": SECRET},
        {"session_token": SECRET},
        {"headers": {"Cookie": SECRET, "Authorization": SECRET}},
        {"action": {"name": "login", "headers": [{"Secret": SECRET}]}},
        {"settings": Settings(pbx=PbxSettings(secret=SecretStr(SECRET)), agi=AgiSettings(token=SecretStr(SECRET)))},
        {"peer": Peer("pbx", SECRET)},
        {"peers": (Peer("pbx", SECRET), {"password": SECRET})},
        {"url": f"postgresql://offhook:{SECRET}@db.example/offhook"},
        {"why": f"could not connect to postgresql+asyncpg://offhook:{SECRET}@db:5432/x (refused)"},
        {"error": ValueError(f"bad url postgresql://a:{SECRET}@b/c")},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("pretty", [False, True])
def test_no_secret_reaches_a_line(fields: dict[str, Any], pretty: bool, lines: io.StringIO) -> None:
    """By its name at any depth, inside objects, inside addresses; the rest of the line is there."""
    if pretty:
        log.set_up(LogSettings(level="info", pretty=True), lines)
    structlog.get_logger().info("something happened", call="1.1", **fields)
    logging.getLogger("library").warning("told", extra=fields)
    assert SECRET not in lines.getvalue()
    assert "something happened" in lines.getvalue()
    assert "1.1" in lines.getvalue()


@pytest.mark.parametrize("pretty", [False, True])
def test_no_secret_in_a_traceback(pretty: bool, lines: io.StringIO) -> None:
    """An exception's text may quote an address with its password."""
    log.set_up(LogSettings(level="info", pretty=pretty), lines)
    try:
        raise ConnectionError(f"postgresql://offhook:{SECRET}@db/x is away")
    except ConnectionError:
        structlog.get_logger().exception("write failed")
        logging.getLogger("library").exception("write failed")
    assert SECRET not in lines.getvalue()
    assert lines.getvalue().count("(hidden)@db") >= 2


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=10,
)


@given(NESTED, st.sampled_from(["secret", "Password", "api_token", "Set-Cookie"]))
def test_hiding_leaves_the_rest_as_it_was(value: Any, name: str) -> None:
    """Only what is named a secret is replaced, wherever it hangs; what it hangs on is unchanged, the original too."""
    line = {"value": value, "deep": [{"er": {name: SECRET, "beside": value}}]}
    hidden = log.hide_secrets(None, "info", dict(line))
    assert hidden["deep"][0]["er"][name] == log.HIDDEN
    assert line["deep"][0]["er"][name] == SECRET
    if not any(word in json.dumps(value).lower() for word in (*log.SECRET_WORDS, "://")):
        assert hidden["value"] == value
        assert hidden["deep"][0]["er"]["beside"] == value


def test_lines_can_go_into_a_file(tmp_path: Path, lines: io.StringIO) -> None:
    """For a terminal that shows something else: JSON, at once, appended."""
    file = tmp_path / "offhook.log"
    file.write_text('{"event": "earlier"}\n')
    log.set_up_file(file, LogSettings(pretty=True))
    structlog.get_logger().info("now")
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["earlier", "now"]
