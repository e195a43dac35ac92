"""Facts of the caller's walk, told by ivr."""

from dataclasses import dataclass

from cti.events.fact import CallFact
from cti.ids import CustomerId, QueueId
from cti.pop import IvrAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStarted(CallFact):
    """The call began to walk this flow; `version` is the flow text's fingerprint."""

    flow: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntered(CallFact):
    """The call reached this node of its flow."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGiven(CallFact):
    """The caller answered by key. `value` is masked where the flow says it is sensitive."""

    node: str
    answer: IvrAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentified(CallFact):
    """The caller proved to be this customer by something other than the number. `by` says by what: "account number"."""

    customer: CustomerId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQueued(CallFact):
    """The caller waits for an agent of this queue. `at` is when the wait began; higher `priority` goes first."""

    queue: QueueId
    channel: str
    language: str
    skills: tuple[str, ...] = ()
    priority: int = 0
    reason: str = ""
    ani: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailedSafe(CallFact):
    """The caller was left to the dialplan's own queue, because we were away or silent."""

    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEnded(CallFact):
    """The walk is over. `how`: queued, goodbye, hung_up, failed."""

    how: str
