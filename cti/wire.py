"""Facts and Requests to JSON and back: `{"v": 1, "kind": "CallArrived", "body": {...}}`.

The shapes are the dataclasses of `cti.events` and `cti.requests`; unknown kinds and malformed bodies raise PeerError, an
unknown extra field is ignored so that an older reader survives a newer writer.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

import cti.events
import cti.requests
from cti.errors import PeerError
from cti.events import Fact
from cti.requests import Request

VERSION = 1


def _kinds_of(module: Any, base: type) -> Iterator[tuple[str, type]]:
    """The kinds that are told or asked; what only groups them (`CallFact`) is none."""
    for name, kind in vars(module).items():
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base and not kind.__subclasses__():
            yield name, kind


FACT_KINDS: dict[str, type[Fact]] = dict(_kinds_of(cti.events, Fact))
REQUEST_KINDS: dict[str, type[Request[Any]]] = dict(_kinds_of(cti.requests, Request))
_NAMES: dict[type, str] = {kind: name for name, kind in {**FACT_KINDS, **REQUEST_KINDS}.items()}


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter_of(kind: type) -> TypeAdapter[Any]:
    """The pydantic adapter of one kind, built once."""
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        adapter = _ADAPTERS[kind] = TypeAdapter(kind)
    return adapter


def to_json(word: Fact | Request[Any]) -> bytes:
    """One line of JSON for this Fact or Request."""
    body = adapter_of(type(word)).dump_json(word)
    return b'{"v":%d,"kind":"%s","body":%s}' % (VERSION, _NAMES[type(word)].encode(), body)


def fact_from_json(line: bytes | str) -> Fact:
    """The Fact in this line. Raises PeerError when it is none we know."""
    kind, body = _open(line)
    if kind not in FACT_KINDS:
        raise PeerError(f"unknown kind of Fact: {kind!r}")
    return cast(Fact, _build(FACT_KINDS[kind], body))


def request_from_json(line: bytes | str) -> Request[Any]:
    """The Request in this line. Raises PeerError when it is none we know."""
    kind, body = _open(line)
    if kind not in REQUEST_KINDS:
        raise PeerError(f"unknown kind of Request: {kind!r}")
    return cast(Request[Any], _build(REQUEST_KINDS[kind], body))


def _open(line: bytes | str) -> tuple[str, Any]:
    try:
        envelope = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise PeerError(f"not JSON: {exc}") from exc
    if not isinstance(envelope, dict) or envelope.get("v") != VERSION or not isinstance(envelope.get("kind"), str):
        raise PeerError(f"not an envelope of version {VERSION}")
    return envelope["kind"], envelope.get("body")


def _build(kind: type, body: Any) -> Any:
    try:
        return adapter_of(kind).validate_python(body)
    except ValidationError as exc:
        raise PeerError(f"malformed {kind.__name__}: {exc.error_count()} mistakes") from exc
