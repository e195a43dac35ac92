"""The referee: Asterisk's record of calls against the contacts we wrote. Its word counts, not ours.

It reads the record in its own way, not the backfill's: linkedids are joined where one leg was seen under both, and who
talked is read from the bridge's own list of peers, so that a mistake of the one is not repeated by the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cti.events import ContactOutcome
from voc.cel import CelRow

OUR_CONTEXTS = ("offhook-entry", "offhook-hold", "offhook-failsafe")

HAIR_S = 1.0
"""A caller who leaves within this time of being queued may have gone before the dialplan got there: both are true."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What we say of a call: a contact's name, outcome and wait in seconds."""

    call: str
    outcome: str
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WrongOutcome:
    """A contact whose outcome is not what Asterisk's record says."""

    call: str
    said: str
    should_be: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`linkedids`: how many calls from outside that Asterisk saw end; what is wrong with their contacts."""

    linkedids: int
    missing_contacts: tuple[str, ...]
    duplicate_contacts: tuple[str, ...]
    wrong_outcomes: tuple[WrongOutcome, ...]
    outcomes: Mapping[str, int] = field(default_factory=dict)  # how many calls ended how, by Asterisk's record

    @property
    def is_clean(self) -> bool:
        """True when every call has exactly one contact with the right outcome."""
        return not (self.missing_contacts or self.duplicate_contacts or self.wrong_outcomes)


@dataclass(slots=True)
class _Linkedid:
    """What was recorded under one linkedid."""

    name: str
    first_at: float
    has_ended: bool = False
    outside: set[str] = field(default_factory=set)  # legs of customers
    contexts: dict[str, set[str]] = field(default_factory=dict)  # of a leg
    names: dict[str, str] = field(default_factory=dict)  # of a leg's channel
    bridged: list[tuple[str, str]] = field(default_factory=list)  # a leg that came to these peers


def judge(
    rows: Iterable[CelRow], contacts: Iterable[Claim], contexts: Sequence[str] = (), since: float = 0.0
) -> Verdict:
    """Compare the record with the contacts. `contexts`: where calls from outside begin; calls before `since` don't count."""
    linkedids, joined = _read(rows, frozenset((*contexts, *OUR_CONTEXTS)))
    groups: dict[str, list[_Linkedid]] = {}
    for name, linkedid in linkedids.items():
        groups.setdefault(_root(joined, name), []).append(linkedid)
    claims = {claim.call: claim for claim in contacts}
    outcomes: dict[str, int] = {}
    missing: list[str] = []
    duplicate: list[str] = []
    wrong: list[WrongOutcome] = []
    for group in groups.values():
        found = [claims[each.name] for each in group if each.name in claims]
        customers = [each for each in group if each.outside]
        if not customers:
            duplicate += [claim.call for claim in found]  # a contact of what was no customer's call
            continue
        if min(each.first_at for each in group) < since or not all(each.has_ended for each in customers):
            continue
        should_be = _outcome(group)
        outcomes[should_be.value] = outcomes.get(should_be.value, 0) + 1
        if not found:
            missing.append(customers[0].name)
        else:
            duplicate += [claim.call for claim in found[1:]]
            wrong += _wrong(found[0], should_be)
    return Verdict(sum(outcomes.values()), tuple(missing), tuple(duplicate), tuple(wrong), outcomes)


def _read(rows: Iterable[CelRow], outside: frozenset[str]) -> tuple[dict[str, _Linkedid], dict[str, str]]:
    linkedids: dict[str, _Linkedid] = {}
    joined: dict[str, str] = {}
    first_of_leg: dict[str, str] = {}
    for row in rows:
        linkedid = linkedids.get(row.linkedid)
        if linkedid is None:
            linkedid = linkedids[row.linkedid] = _Linkedid(row.linkedid, row.at)
        if row.kind == "LINKEDID_END":
            linkedid.has_ended = True
            continue
        before = first_of_leg.setdefault(row.leg, row.linkedid)
        if before != row.linkedid:
            joined[_root(joined, before)] = _root(joined, row.linkedid)
        _note(linkedid, row, outside)
    return linkedids, joined


def _note(linkedid: _Linkedid, row: CelRow, outside: frozenset[str]) -> None:
    linkedid.names[row.leg] = row.channel
    linkedid.contexts.setdefault(row.leg, set()).add(row.context)
    is_near_half = row.channel.startswith("Local/") and row.channel.endswith(";1")
    if row.context in outside and not row.leg.startswith("offhook-") and not is_near_half:
        linkedid.outside.add(row.leg)
    if row.kind == "BRIDGE_ENTER" and row.peer and "holding_bridge" not in row.extra:
        linkedid.bridged.append((row.leg, row.peer))


def _root(joined: dict[str, str], name: str) -> str:
    seen = {name}
    while (name_of := joined.get(name, name)) not in seen:
        name = name_of
        seen.add(name)
    return name


def _outcome(group: list[_Linkedid]) -> ContactOutcome:
    legs = {leg for each in group for leg in each.outside}
    channels = {each.names[leg] for each in group for leg in each.outside}
    bridged = [pair for each in group for pair in each.bridged]
    if any(leg in legs or channels & set(peer.split(",")) for leg, peer in bridged):
        return ContactOutcome.ANSWERED
    contexts = {context for each in group for leg in legs for context in each.contexts.get(leg, ())}
    if "offhook-failsafe" in contexts:
        return ContactOutcome.FAILSAFE
    return ContactOutcome.ABANDONED if "offhook-hold" in contexts else ContactOutcome.IVR_ONLY


def _wrong(claim: Claim, should_be: ContactOutcome) -> list[WrongOutcome]:
    if claim.outcome == should_be.value:
        return []
    left_at_once = claim.outcome == ContactOutcome.ABANDONED.value and claim.waited_s < HAIR_S
    if left_at_once and should_be is ContactOutcome.IVR_ONLY:
        return []
    return [WrongOutcome(claim.call, claim.outcome, should_be.value)]
