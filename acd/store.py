"""The acd room's own tables: the floor as it must survive a crash, each agent and each waiting contact as JSON.

They are read once, at start; nobody queries inside the JSON. A line is replaced as a whole.
"""

from collections.abc import Iterable

from pydantic import TypeAdapter
from sqlalchemy import Column, String, Table, Text, bindparam, delete, insert, select

from acd.orders import ForgetWaiting, KeepAgent, KeepWaiting
from acd.queue import Waiting
from cti.floor import AgentLine
from cti.store import Store, Write, metadata

agent_table = Table(
    "acd_agent",
    metadata,
    Column("agent", String(40), primary_key=True),
    Column("line", Text, nullable=False),
)

waiting_table = Table(
    "acd_waiting",
    metadata,
    Column("call", String(150), primary_key=True),
    Column("contact", Text, nullable=False),
)

_DROP_AGENT = delete(agent_table).where(agent_table.c.agent == bindparam("name"))
_PUT_AGENT = insert(agent_table).values(agent=bindparam("agent"), line=bindparam("line"))
_DROP_WAITING = delete(waiting_table).where(waiting_table.c.call == bindparam("name"))
_PUT_WAITING = insert(waiting_table).values(call=bindparam("call"), contact=bindparam("contact"))

_LINE = TypeAdapter(AgentLine)
_CONTACT = TypeAdapter(Waiting)


def keeping(orders: Iterable[KeepAgent | KeepWaiting | ForgetWaiting]) -> list[Write]:
    """The writes that carry these orders out."""
    writes: list[Write] = []
    for order in orders:
        match order:
            case KeepAgent(line):
                writes.append((_DROP_AGENT, {"name": line.agent}))
                writes.append((_PUT_AGENT, {"agent": line.agent, "line": _LINE.dump_json(line).decode()}))
            case KeepWaiting(contact):
                writes.append((_DROP_WAITING, {"name": contact.call}))
                writes.append((_PUT_WAITING, {"call": contact.call, "contact": _CONTACT.dump_json(contact).decode()}))
            case ForgetWaiting(call):
                writes.append((_DROP_WAITING, {"name": call}))
    return writes


async def kept(store: Store) -> tuple[list[AgentLine], list[Waiting]]:
    """The floor as it was last kept."""
    agents = await store.read(select(agent_table.c.line))
    waiting = await store.read(select(waiting_table.c.contact))
    return [_LINE.validate_json(row.line) for row in agents], [_CONTACT.validate_json(row.contact) for row in waiting]
