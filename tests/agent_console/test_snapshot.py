"""What each audience sees, and how Facts change it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agent_console.api.messages import DraftKept, ServerMessage
from agent_console.roles import Role
from agent_console.snapshot import Audience, Board, Change
from cti.events import (
    AgentLineChanged,
    Fact,
    OfferEnded,
    OfferOutcome,
    PbxLost,
    PbxSynced,
    QueueLineChanged,
    WaitingLineChanged,
    WaitingLineGone,
    WrapUpEnd,
    WrapUpEnded,
)
from cti.floor import Activity, Availability, FloorPicture
from cti.ids import CallId
from cti.pop import PopPhase
from tests.agent_console.floor import (
    ANN,
    BEN,
    NOW,
    SALES,
    SITE,
    SUPPORT,
    agent_line,
    later,
    pop,
    queue_line,
    shown,
    waiting_line,
)

AUDIENCES = [Audience(role, agent) for role in Role for agent in (ANN, BEN, None)]
CALLS = [CallId(f"17.{n}") for n in range(3)]

agents = st.sampled_from([ANN, BEN])
calls = st.sampled_from(CALLS)
lines = st.builds(
    agent_line, agents, st.sampled_from(Availability), st.sampled_from(Activity), st.sampled_from([NOW, NOW + 1])
)
pops = st.builds(pop, calls, agents, st.integers(1, 4), st.sampled_from([NOW, NOW + 5]), st.text(max_size=8))
facts: st.SearchStrategy[Fact] = st.one_of(
    lines.map(lambda line: AgentLineChanged(at=NOW, agent=line.agent, line=line)),
    st.builds(queue_line, st.sampled_from([SALES, SUPPORT]), st.integers(0, 3)).map(
        lambda line: QueueLineChanged(at=NOW, line=line)
    ),
    st.builds(waiting_line, calls, st.just(SALES), st.integers(0, 1)).map(
        lambda line: WaitingLineChanged(at=NOW, call=line.call, line=line)
    ),
    calls.map(lambda call: WaitingLineGone(at=NOW, call=call)),
    pops.map(shown),
    pops.map(lambda p: OfferEnded(at=NOW, call=p.call, offer=p.offer, agent=p.agent, outcome=OfferOutcome.LAPSED)),
    st.builds(WrapUpEnded, at=st.just(NOW), call=calls, agent=agents, how=st.just(WrapUpEnd.FINISHED)),
    st.just(PbxSynced(at=NOW, calls=())),
    st.just(PbxLost(at=NOW, why="link cut")),
)
drafts = st.tuples(agents, st.builds(DraftKept, call=calls, disposition=st.just(""), note=st.text(max_size=5)))
steps = st.lists(st.one_of(facts, drafts, st.none()), max_size=30)


def board(log_length: int = 4096) -> Board:
    made = Board(SITE, "epoch", NOW, log_length)
    for audience in AUDIENCES:
        made.admit(audience)
    return made


def run(on: Board, steps: Sequence[Fact | tuple[Any, DraftKept] | None]) -> list[Change]:
    """A step is a Fact, a kept draft, or None: time to broadcast."""
    changes: list[Change] = []
    for step in steps:
        if step is None:
            changes += on.wake(NOW)
        elif isinstance(step, tuple):
            changes += on.keep_draft(*step, at=NOW)
        else:
            changes += on.receive(step)
    return changes


def seen(on: Board, audience: Audience) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in on.picture(audience).items()}


def apply(view: dict[str, Any], changes: Sequence[Change], audience: Audience) -> dict[str, Any]:
    view, last = dict(view), 0
    for change in changes:
        if not change.is_for(audience):
            continue
        message = json.loads(change.frame)
        assert message["seq"] > last
        last = message["seq"]
        if message["type"] == "put":
            view[message["key"]] = message["value"]
        else:
            view.pop(message["key"], None)
    return view


@given(before=steps, after=steps)
def test_snapshot_and_changes_are_a_fresh_snapshot(before: list[Any], after: list[Any]) -> None:
    """For every audience and every cut: the snapshot then, and what it may see of the changes since, is the snapshot now."""
    on = board()
    run(on, before)
    snapshots = {audience: seen(on, audience) for audience in AUDIENCES}
    changes = run(on, [*after, None])
    for audience in AUDIENCES:
        assert apply(snapshots[audience], changes, audience) == seen(on, audience)


@given(before=steps, after=steps, log_length=st.sampled_from([1, 5, 4096]))
def test_resuming_is_a_fresh_snapshot_or_refused(before: list[Any], after: list[Any], log_length: int) -> None:
    """A browser that comes back gets what it missed, each key once, or is told that this can't be done."""
    on = board(log_length)
    run(on, [*before, None])
    seq, snapshots = on.seq, {audience: seen(on, audience) for audience in AUDIENCES}
    run(on, [*after, None])
    for audience in AUDIENCES:
        missed = on.since(seq, audience)
        if missed is None:
            assert on.seq - seq > log_length
        else:
            assert len({change.key for change in missed}) == len(missed)
            assert apply(snapshots[audience], missed, audience) == seen(on, audience)


@given(steps=steps)
def test_a_fact_twice_does_no_harm(steps: list[Any]) -> None:
    """Every Fact told twice in a row gives the same views as told once."""
    once, twice = board(), board()
    run(once, steps)
    run(twice, [step for step in steps for _ in range(2)])
    for audience in AUDIENCES:
        assert seen(once, audience) == seen(twice, audience)


@given(steps=steps)
def test_every_message_is_of_the_published_schema(steps: list[Any]) -> None:
    """What is sent can be read by the models the console's types are generated from, and says the same again."""
    reader: TypeAdapter[Any] = TypeAdapter(ServerMessage)
    on = board()
    frames = [change.frame for change in run(on, [*steps, None])]
    for frame in [*frames, *(on.snapshot(audience, NOW) for audience in AUDIENCES), on.resumed(NOW)]:
        assert json.loads(reader.dump_json(reader.validate_json(frame))) == json.loads(frame)


@given(steps=steps)
def test_an_agent_sees_no_other_agent_and_no_waiting_contact(steps: list[Any]) -> None:
    """Whatever happens, nothing of Ben's or of the floor is in Ann's view or among her changes."""
    on = board()
    ann = Audience(Role.AGENT, ANN)
    changes = [change for change in run(on, [*steps, None]) if change.is_for(ann)]
    keys = {*on.picture(ann), *(change.key for change in changes)}
    assert not [key for key in keys if key.startswith(("agents/", "waiting/"))]
    assert not [change for change in changes if change.agent not in (None, ANN)]
    told = [json.loads(change.value)["agent"] for change in changes if change.key in ("me", "pop") and change.value]
    assert set(told) <= {ANN}


@given(steps=steps)
def test_loading_acds_picture_again_changes_nothing(steps: list[Any]) -> None:
    """A board that heard every Fact and one that took over the floor's picture show the same floor."""
    on = board()
    run(on, steps)
    floor = seen(on, Audience(Role.ADMIN))
    by_kind = {
        kind: [floor[key] for key in floor if key.startswith(kind)] for kind in ("agents/", "queues/", "waiting/")
    }
    picture = TypeAdapter(FloorPicture).validate_python(
        {"at": NOW, "agents": by_kind["agents/"], "queues": by_kind["queues/"], "waiting": by_kind["waiting/"]}
    )
    fresh = board()
    fresh.receive(WaitingLineChanged(at=NOW, call=CallId("gone"), line=waiting_line(CallId("gone"))))
    fresh.load(picture)
    on.load(picture)
    shared = {key for key in floor if "/" in key}
    for other in (fresh, on):
        assert {key: value for key, value in seen(other, Audience(Role.ADMIN)).items() if "/" in key} == {
            key: floor[key] for key in shared
        }


def test_late_data_never_brings_an_ended_pop_back() -> None:
    """A CRM answer that comes after the offer has ended changes nothing."""
    on = board()
    first = pop("17.1")
    run(on, [shown(first)])
    run(on, [OfferEnded(at=NOW, call=first.call, offer=first.offer, agent=ANN, outcome=OfferOutcome.LAPSED)])
    assert run(on, [shown(later(first))]) == []
    assert "pop" not in seen(on, Audience(Role.AGENT, ANN))


def test_a_talk_found_after_its_offer_ended_brings_its_pop_back() -> None:
    """She had picked up while the PBX was out of sight: the pop of the talk is shown, that of the offer is not."""
    on = board()
    first = pop("17.1")
    run(on, [shown(first)])
    run(on, [OfferEnded(at=NOW, call=first.call, offer=first.offer, agent=ANN, outcome=OfferOutcome.LAPSED)])
    run(on, [shown(later(first, phase=PopPhase.ANSWERED))])
    assert seen(on, Audience(Role.AGENT, ANN))["pop"]["phase"] == "answered"


def test_an_older_version_never_covers_a_newer_one() -> None:
    """Out of turn, the higher version stays on the screen."""
    on = board()
    first = pop("17.1")
    run(on, [shown(later(first, caller_name="Eve Adams")), shown(first)])
    assert seen(on, Audience(Role.AGENT, ANN))["pop"]["caller_name"] == "Eve Adams"


def test_a_draft_goes_with_its_contact() -> None:
    """The draft of the last contact is not shown beside the next one, and none is shown without its contact."""
    on = board()
    ann = Audience(Role.AGENT, ANN)
    assert run(on, [(ANN, DraftKept(call=CallId("17.1"), disposition="", note="x"))]) == []
    run(on, [shown(pop("17.1")), (ANN, DraftKept(call=CallId("17.1"), disposition="", note="x"))])
    assert seen(on, ann)["draft"]["note"] == "x"
    run(on, [shown(pop("17.2", offered_at=NOW + 60))])
    assert "draft" not in seen(on, ann)


def test_a_busy_wallboard_is_told_once_per_key() -> None:
    """A thousand changes of one queue between two broadcasts are one message, with the last of them."""
    on = board()
    run(on, [QueueLineChanged(at=NOW, line=queue_line(SALES, n)) for n in range(1000)])
    changes = on.wake(NOW)
    assert [(change.key, json.loads(change.frame)["value"]["waiting"]) for change in changes] == [("queues/sales", 999)]
    assert on.next_wake() is None


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "\u2028</script>", 'a"b\\c', "\u202egnp.exe", "名前"])
def test_text_from_outside_stays_what_it_was(text: str) -> None:
    """A caller's name comes out of the JSON letter for letter."""
    on = board()
    (change,) = run(on, [shown(pop("17.1", name=text))])
    assert json.loads(change.frame)["value"]["caller_name"] == text
