"""Which agent: among those who are free and have every skill, the one idle longest.

`fits` says who could take a contact at all, `acd.free` finds who should, `why_her` says why in a sentence.
"""

from collections.abc import Collection

from acd.agent import Agent
from acd.queue import Waiting
from cti.site import QueueSpec

LANGUAGE_SKILL = "lang."
"""Skills named `lang.en`, `lang.es` are languages; a contact's language is asked for only where somebody speaks it."""


def needed_skills(contact: Waiting, queue: QueueSpec, languages: Collection[str]) -> frozenset[str]:
    """The skills an agent needs for this contact; `languages` are those any agent of the site has as a skill."""
    needed = {*queue.skills, *contact.skills}
    if contact.language in languages:
        needed.add(LANGUAGE_SKILL + contact.language)
    return frozenset(needed)


def fits(agent: Agent, needed: frozenset[str]) -> bool:
    """True when this agent, were she free, could take it."""
    return needed <= frozenset(agent.spec.skills)


def why_her(agent: Agent, needed: frozenset[str], others_free: int, now: float) -> str:
    """Why this agent, as a sentence an agent, a supervisor and a customer's lawyer can read."""
    idle = f"idle for {max(0.0, now - agent.idle_since):.0f} s"
    skilled = f"has {', '.join(sorted(needed))}" if needed else "no special skill needed"
    if others_free == 0:
        return f"{agent.spec.name}: {skilled}; {idle}, the only one free with these skills."
    others = "1 other" if others_free == 1 else f"{others_free} others"
    return f"{agent.spec.name}: {skilled}; {idle}, longest of all ({others} free)."
