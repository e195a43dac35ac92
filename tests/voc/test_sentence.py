"""Steps as sentences."""

import pytest

from cti.events import CallFact
from cti.wire import FACT_KINDS
from tests.voc.life import abandoned_call, answered_call
from voc.history import NO_STEPS
from voc.sentence import UNTOLD, step_of, tells

STEPS = sorted(
    (
        kind
        for kind in FACT_KINDS.values()
        if issubclass(kind, CallFact) and kind not in NO_STEPS and kind.__subclasses__() == []
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.__name__)
def test_every_kind_of_step_has_its_sentence(kind: type[CallFact]) -> None:
    """A Fact that becomes a step can be told to a person, or is among the few that need no telling."""
    assert tells(kind) != (kind in UNTOLD)


def test_a_sentence_never_fails_and_names_the_agent() -> None:
    """Whole calls, step by step."""
    steps = [step_of(fact) for fact in (*answered_call(), *abandoned_call())]
    assert all(step.detail for step in steps)
    assert {step.agent for step in steps} == {None, "ann", "bob"}
