"""Wrap-ups: what agents have typed so far, kept until the wrap-up is over.

A draft belongs to one agent and one call. When the timer ends a wrap-up, the note of the draft becomes the contact's
note; an agent who finishes herself has said what she meant, and her draft is dropped.
"""

from dataclasses import replace

from cti.events import WrapUpEnd, WrapUpEnded
from cti.ids import AgentId, CallId
from cti.requests import Draft

EMPTY = Draft()


class Drafts:
    """The drafts of the calls that are still open."""

    def __init__(self) -> None:
        self._drafts: dict[CallId, dict[AgentId, Draft]] = {}

    def keep(self, call: CallId, agent: AgentId, draft: Draft) -> None:
        """The agent has typed this so far."""
        self._drafts.setdefault(call, {})[agent] = draft

    def read(self, call: CallId, agent: AgentId) -> Draft:
        """What she has typed so far, empty when nothing."""
        return self._drafts.get(call, {}).get(agent, EMPTY)

    def finish(self, ended: WrapUpEnded) -> WrapUpEnded:
        """The end of the wrap-up as it is to be remembered: with the draft's note where the timer cut it off."""
        draft = self.read(ended.call, ended.agent)
        if ended.how is WrapUpEnd.TIMED_OUT and not ended.note and draft.note:
            return replace(ended, note=draft.note)
        return ended

    def move(self, call: CallId, into: CallId) -> None:
        """The call goes on under another name."""
        drafts = self._drafts.pop(call, None)
        if drafts:
            self._drafts[into] = {**drafts, **self._drafts.get(into, {})}

    def drop(self, call: CallId) -> None:
        """The contact is complete; nobody needs its drafts."""
        self._drafts.pop(call, None)
