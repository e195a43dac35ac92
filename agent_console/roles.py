"""Who may do what: a table of actions and roles. Deny by default: what is not in the table is forbidden to everybody."""

from enum import StrEnum


class Role(StrEnum):
    """What a signed-in person is."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class Action(StrEnum):
    """Everything the console can be asked to do or show."""

    WATCH_OWN = "watch-own"  # one's own line, pop, draft and the queues
    WATCH_FLOOR = "watch-floor"  # every agent and every waiting contact
    WORK = "work"  # take contacts: ready, answer, wrap up (only somebody who is an agent as well)
    READ_OWN_CONTACT = "read-own-contact"
    READ_ANY_CONTACT = "read-any-contact"


_EVERYBODY = frozenset(Role)
_ABOVE_AGENTS = frozenset({Role.SUPERVISOR, Role.ADMIN})

MAY: dict[Action, frozenset[Role]] = {
    Action.WATCH_OWN: _EVERYBODY,
    Action.WATCH_FLOOR: _ABOVE_AGENTS,
    Action.WORK: _EVERYBODY,
    Action.READ_OWN_CONTACT: _EVERYBODY,
    Action.READ_ANY_CONTACT: _ABOVE_AGENTS,
}


def may(role: Role, action: Action) -> bool:
    """True when the table says so."""
    return role in MAY.get(action, frozenset())
