"""The voc room's tables: contacts, their steps, which linkedids they answer for, drafts, and how far CEL was read.

Instants are Unix seconds (UTC). A contact's row is written by upserts that leave a closed one alone, so whoever comes
late changes nothing. Statements are built once, here; equal ones are written together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from cti.caller import PastContact
from cti.events import CallFact, Fact
from cti.ids import AgentId, CallId, CustomerId
from cti.pop import IvrAnswer
from cti.requests import ContactSheet, ContactStep
from cti.store import metadata
from cti.store.upsert import upsert
from cti.wire import fact_from_json, to_json
from voc.contact import Contact, OfferLine

contact_table = Table(
    "voc_contact",
    metadata,
    Column("call", String(150), primary_key=True),
    Column("outcome", String(20), nullable=False),
    Column("ended_by", String(20), nullable=False),
    Column("direction", String(10), nullable=False),
    Column("is_inferred", Boolean, nullable=False),
    Column("arrived_at", Float, nullable=False),
    Column("queued_at", Float, nullable=True),
    Column("answered_at", Float, nullable=True),
    Column("ended_at", Float, nullable=True),
    Column("closed_at", Float, nullable=True),
    Column("ani", Text, nullable=False),
    Column("ani_e164", Text, nullable=False),
    Column("caller_name", Text, nullable=False),
    Column("dnis", Text, nullable=False),
    Column("match", String(20), nullable=False),
    Column("customer", String(64), nullable=True),
    Column("flow", Text, nullable=False),
    Column("flow_version", Text, nullable=False),
    Column("answers", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("offers", Text, nullable=False),
    Column("agents", Text, nullable=False),
    Column("waited_s", Float, nullable=False),
    Column("talk_s", Float, nullable=False),
    Column("hold_s", Float, nullable=False),
    Column("wrap_up_s", Float, nullable=False),
    Column("disposition", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("csat", Integer, nullable=True),
)
Index("ix_voc_contact_customer_arrived_at", contact_table.c.customer, contact_table.c.arrived_at)
Index(
    "ix_voc_contact_ani_e164_customer_arrived_at",
    contact_table.c.ani_e164,
    contact_table.c.customer,
    contact_table.c.arrived_at,
)
Index("ix_voc_contact_arrived_at", contact_table.c.arrived_at)
Index(
    "ix_voc_contact_open",
    contact_table.c.closed_at,
    sqlite_where=contact_table.c.closed_at.is_(None),
    postgresql_where=contact_table.c.closed_at.is_(None),
)

step_table = Table(
    "voc_step",
    metadata,
    Column("call", String(150), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

linkedid_table = Table(
    "voc_linkedid",
    metadata,
    Column("linkedid", String(250), primary_key=True),
    Column("call", String(150), nullable=False),
    Index("ix_voc_linkedid_call", "call"),
    sqlite_with_rowid=False,
)

draft_table = Table(
    "voc_draft",
    metadata,
    Column("call", String(150), primary_key=True),
    Column("agent", String(40), primary_key=True),
    Column("disposition", Text, nullable=False),
    Column("note", Text, nullable=False),
    sqlite_with_rowid=False,
)

cel_mark_table = Table(
    "voc_cel_mark",
    metadata,
    Column("source", String(300), primary_key=True),
    Column("file", String(200), nullable=False),
    Column("place", BigInteger, nullable=False),
)


def _keep_contact() -> Insert:
    statement = insert(contact_table)
    changes = {
        column.name: statement.excluded[column.name] for column in contact_table.columns if not column.primary_key
    }
    return statement.on_conflict_do_update(
        index_elements=[contact_table.c.call], set_=changes, where=contact_table.c.closed_at.is_(None)
    )


KEEP_CONTACT = _keep_contact()
KEEP_STEP = upsert(step_table, [])
KEEP_LINKEDID = upsert(linkedid_table, ["call"])
KEEP_DRAFT = upsert(draft_table, ["disposition", "note"])
KEEP_MARK = upsert(cel_mark_table, ["file", "place"])
DROP_DRAFTS = delete(draft_table).where(draft_table.c.call == bindparam("of_call"))
DROP_CONTACT = delete(contact_table).where(contact_table.c.call == bindparam("of_call"))
MOVE_STEPS = (
    update(step_table)
    .where(step_table.c.call == bindparam("of_call"))
    .values(call=bindparam("into"), seq=step_table.c.seq + bindparam("behind"))
)
MOVE_LINKEDIDS = (
    update(linkedid_table).where(linkedid_table.c.call == bindparam("of_call")).values(call=bindparam("into"))
)

FIND_CONTACT = select(contact_table).where(contact_table.c.call == bindparam("call"))
FIND_STEPS = (
    select(step_table.c.seq, step_table.c.at, step_table.c.body)
    .where(step_table.c.call == bindparam("call"))
    .order_by(step_table.c.seq)
)
FIND_OPEN = (
    select(step_table.c.call, step_table.c.seq, step_table.c.body)
    .join(contact_table, contact_table.c.call == step_table.c.call)
    .where(contact_table.c.closed_at.is_(None))
    .order_by(step_table.c.call, step_table.c.seq)
)
FIND_OPEN_DRAFTS = select(draft_table)
FIND_MARK = select(cel_mark_table.c.file, cel_mark_table.c.place).where(cel_mark_table.c.source == bindparam("source"))
FIND_KNOWN = (
    select(linkedid_table.c.linkedid)
    .join(contact_table, contact_table.c.call == linkedid_table.c.call)
    .where(linkedid_table.c.linkedid.in_(bindparam("linkedids", expanding=True)))
)
RECENT_OF_CUSTOMER = (
    select(contact_table)
    .where(contact_table.c.customer == bindparam("customer"), contact_table.c.call != bindparam("but_not"))
    .order_by(contact_table.c.arrived_at.desc())
    .limit(bindparam("most", type_=Integer))
)
RECENT_OF_NUMBER = (
    select(contact_table)
    .where(
        contact_table.c.ani_e164 == bindparam("ani_e164"),
        contact_table.c.customer.is_(None),
        contact_table.c.call != bindparam("but_not"),
    )
    .order_by(contact_table.c.arrived_at.desc())
    .limit(bindparam("most", type_=Integer))
)
RECENT_OF_ANYONE = (
    select(contact_table)
    .where(contact_table.c.ani_e164 == bindparam("ani_e164"), contact_table.c.call != bindparam("but_not"))
    .order_by(contact_table.c.arrived_at.desc())
    .limit(bindparam("most", type_=Integer))
)
COUNT_FROM_NUMBER = (
    select(contact_table.c.customer, func.count().label("times"))
    .where(
        contact_table.c.ani_e164 == bindparam("ani_e164"),
        contact_table.c.customer.is_not(None),
        contact_table.c.ended_at.is_not(None),
    )
    .group_by(contact_table.c.customer)
)

_OFFERS = TypeAdapter(tuple[OfferLine, ...])
_ANSWERS = TypeAdapter(tuple[IvrAnswer, ...])
_AGENTS = TypeAdapter(tuple[AgentId, ...])


def clean(text: str) -> str:
    """Text a database takes: no NUL (PostgreSQL refuses it), no half of a surrogate pair."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def row_of(contact: Contact, closed_at: float | None = None) -> dict[str, Any]:
    """The contact as a row of `voc_contact`."""
    return {
        "call": contact.call,
        "outcome": contact.outcome.value,
        "ended_by": contact.ended_by.value,
        "direction": "inbound",
        "is_inferred": contact.is_inferred,
        "arrived_at": contact.arrived_at,
        "queued_at": contact.queued_at,
        "answered_at": contact.answered_at,
        "ended_at": contact.ended_at,
        "closed_at": closed_at,
        "ani": clean(contact.ani),
        "ani_e164": contact.ani_e164,
        "caller_name": clean(contact.caller_name),
        "dnis": clean(contact.dnis),
        "match": "" if contact.match is None else contact.match.value,
        "customer": contact.customer,
        "flow": contact.flow,
        "flow_version": contact.flow_version,
        "answers": _ANSWERS.dump_json(contact.answers).decode() if contact.answers else "[]",
        "queue": contact.queue,
        "language": contact.language,
        "reason": clean(contact.reason),
        "offers": _OFFERS.dump_json(contact.offers).decode() if contact.offers else "[]",
        "agents": _AGENTS.dump_json(contact.agents).decode() if contact.agents else "[]",
        "waited_s": contact.waited_s,
        "talk_s": contact.talk_s,
        "hold_s": contact.hold_s,
        "wrap_up_s": contact.wrap_up_s,
        "disposition": clean(contact.disposition),
        "note": clean(contact.note),
        "csat": None,
    }


def step_row(call: CallId, seq: int, fact: CallFact) -> dict[str, Any]:
    """One step as a row of `voc_step`."""
    body = to_json(fact).decode()
    return {"call": call, "seq": seq, "at": fact.at, "kind": type(fact).__name__, "body": body}


def fact_of(body: str) -> Fact:
    """The Fact kept in a step's body. Raises PeerError for one a newer version wrote."""
    return fact_from_json(body)


def past_contact(row: Row[Any]) -> PastContact:
    """A row of `voc_contact` as a line of a customer's history."""
    agents = _AGENTS.validate_json(row.agents)
    return PastContact(
        call=row.call,
        at=row.arrived_at,
        direction=row.direction,
        queue=row.queue,
        outcome=row.outcome,
        agent=agents[-1] if agents else "",
        disposition=row.disposition,
        note=row.note,
        talk_s=row.talk_s,
        csat=row.csat,
        customer=None if row.customer is None else CustomerId(row.customer),
    )


def sheet_of(row: Mapping[str, Any], steps: Sequence[ContactStep]) -> ContactSheet:
    """A row of `voc_contact` with its steps, for a page or a program."""
    customer = row["customer"]
    return ContactSheet(
        call=CallId(row["call"]),
        direction=row["direction"],
        started_at=row["arrived_at"],
        ended_at=row["ended_at"],
        ani=row["ani"],
        caller_name=row["caller_name"],
        dnis=row["dnis"],
        customer=None if customer is None else CustomerId(customer),
        queue=row["queue"],
        language=row["language"],
        reason=row["reason"],
        outcome=row["outcome"],
        answers=_ANSWERS.validate_json(row["answers"]),
        wait_s=row["waited_s"],
        talk_s=row["talk_s"],
        hold_s=row["hold_s"],
        wrap_up_s=row["wrap_up_s"],
        agents=_AGENTS.validate_json(row["agents"]),
        disposition=row["disposition"],
        note=row["note"],
        steps=tuple(steps),
    )
