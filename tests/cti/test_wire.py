"""Facts and Requests as JSON: nothing is lost on the way, and nothing gets in that is not what it says."""

import json
import types
from dataclasses import fields
from enum import StrEnum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti import events, requests
from cti.errors import PeerError
from cti.events import CallArrived, CallFact, Fact
from cti.ids import CallId, LegId
from cti.requests import FindByAccount, Request
from cti.wire import FACT_KINDS, REQUEST_KINDS, VERSION, fact_from_json, request_from_json, to_json

ARRIVED = CallArrived(
    at=1.5, call=CallId("1.1"), leg=LegId("1.1"), channel="PJSIP/trunk-1", ani="+1202", caller_name="Zoë \"Z\" <b>", dnis="1000"
)  # fmt: skip
KINDS: list[type[Any]] = [*FACT_KINDS.values(), *REQUEST_KINDS.values()]


def words(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a dataclass of ours, every field filled."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: _values(hints[field.name]) for field in fields(kind)})


def _values(hint: Any) -> st.SearchStrategy[Any]:
    if isinstance(hint, NewType):
        return _values(hint.__supertype__)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_values(part) for part in parts))
    if origin is tuple:
        return st.lists(_values(parts[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(_values(parts[0]), _values(parts[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if hint is type(None):
        return st.none()
    if hint in (str, int, bool):
        return st.from_type(hint)
    return words(hint)


def read(kind: type[Any], line: bytes | str) -> Any:
    """Read a line as what it claims to be."""
    return fact_from_json(line) if issubclass(kind, Fact) else request_from_json(line)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_word_comes_back_as_it_went(kind: type[Any], data: st.DataObject) -> None:
    """Every Fact and every Request, with any values in its fields, is equal to itself after the journey: one line of JSON."""
    word = data.draw(words(kind))
    line = to_json(word)
    assert b"\n" not in line
    assert json.loads(line)["v"] == VERSION
    assert read(kind, line) == word
    assert type(read(kind, line)) is kind


def test_every_word_of_the_contract_has_a_kind() -> None:
    """What rooms may say is all there, by its own name; what only groups Facts is none."""
    assert CallFact.__name__ not in FACT_KINDS
    told = {name for name in events.__all__ if issubclass(getattr(events, name), Fact)}
    assert set(FACT_KINDS) == told - {"Fact", "CallFact", "AgentFact"}
    asked = {
        name
        for name, kind in vars(requests).items()
        if isinstance(kind, type) and issubclass(kind, Request) and kind is not Request
    }
    assert set(REQUEST_KINDS) == asked


def test_a_field_of_a_newer_writer_is_passed_over() -> None:
    """An unknown extra field does no harm to an older reader."""
    envelope = json.loads(to_json(ARRIVED))
    envelope["body"]["invented_later"] = {"a": [1]}
    envelope["traced"] = "yes"
    assert fact_from_json(json.dumps(envelope)) == ARRIVED


def test_a_field_with_a_default_may_be_missing() -> None:
    """A newer reader fills in what an older writer did not know."""
    envelope = json.loads(to_json(ARRIVED))
    del envelope["body"]["context"], envelope["body"]["inferred"]
    assert fact_from_json(json.dumps(envelope)) == ARRIVED


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"null", b"[]", b"7", b'"CallArrived"', b"\xff\xfe", b"[" * 100_000,
        b'{"v":1}', b'{"v":2,"kind":"AgentReady","body":{"at":1,"agent":"ann"}}',
        b'{"kind":"AgentReady","body":{"at":1,"agent":"ann"}}', b'{"v":1,"kind":["AgentReady"],"body":{}}',
        b'{"v":1,"kind":"AgentReady"}', b'{"v":1,"kind":"AgentReady","body":null}', b'{"v":1,"kind":"AgentReady","body":[1]}',
        b'{"v":1,"kind":"AgentReady","body":{"at":1}}', b'{"v":1,"kind":"AgentReady","body":{"at":"soon","agent":"ann"}}',
        b'{"v":1,"kind":"AgentReady","body":{"at":1,"agent":{"x":1}}}',
        b'{"v":1,"kind":"CallFact","body":{"at":1,"call":"c"}}', b'{"v":1,"kind":"NoSuchFact","body":{}}',
        b'{"v":1,"kind":"DescribeFloor","body":{}}',
        b'{"v":1,"kind":"OfferEnded","body":{"at":1,"call":"c","offer":"o","agent":"a","outcome":"exploded"}}',
    ],
    ids=lambda line: line[:60].decode(errors="replace"),
)  # fmt: skip
def test_what_is_no_fact_is_a_peers_error(line: bytes) -> None:
    """Whatever else comes down the wire is PeerError, never something half read and never another exception."""
    with pytest.raises(PeerError):
        fact_from_json(line)


def test_a_fact_is_no_request_and_a_request_no_fact() -> None:
    """The two readers don't mix them up."""
    with pytest.raises(PeerError, match="unknown kind of Request"):
        request_from_json(to_json(ARRIVED))
    with pytest.raises(PeerError, match="unknown kind of Fact"):
        fact_from_json(to_json(FindByAccount(account="40001")))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_a_peers_error(noise: bytes) -> None:
    """Any bytes at all."""
    with pytest.raises(PeerError):
        fact_from_json(noise)
