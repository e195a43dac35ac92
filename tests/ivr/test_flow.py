"""The walk: each path of the default flow by example, then any caller whatever by Hypothesis."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.caller import MatchKind
from cti.events import AnswerGiven, CallerIdentified, Fact, FlowEnded, FlowStarted, NodeEntered
from cti.ids import CallId, CustomerId
from cti.pop import IvrAnswer
from ivr.flow import MAX_STEPS, Flow, Walk, WalkState
from ivr.load import load_flows
from ivr.nodes import Choice, Farewell, Menu, Queue, Say
from ivr.step import (
    AwaitKey,
    AwaitMatch,
    Enqueue,
    Goodbye,
    HandedOver,
    HungUp,
    Input,
    KeyPressed,
    LookedUp,
    LookUp,
    Matched,
    Order,
    Play,
    Played,
    Sound,
    TimedOut,
)

DEFAULT = load_flows(Path(__file__).parents[2] / "config" / "flows", {"sales", "support", "billing"})["default"]
CALL = CallId("1700.1")
KNOWN = Matched(MatchKind.KNOWN, "gold")


class Told:
    """A walk and everything it said, so that a test reads as the caller's side of the dialogue."""

    def __init__(self, flow: Flow = DEFAULT, *, match: Matched | None = None, language: str = "en") -> None:
        self.walk = Walk(flow, CALL, language)
        self.now = 100.0
        self.facts: list[Fact] = []
        self.order: Order | None = None
        if match is not None:
            assert self.walk.receive(match, self.now) == []
        self._take(self.walk.begin(self.now))

    def hear(self, *heard: Input) -> Order | None:
        """Tell the walk what happened, one second apart; returns its last order."""
        for one in heard:
            self.now += 1.0
            self._take(self.walk.receive(one, self.now))
        return self.order

    def _take(self, said: list[Order | Fact]) -> None:
        self.facts += [word for word in said if isinstance(word, Fact)]
        orders = [word for word in said if isinstance(word, Order)]
        assert len(orders) <= 1
        self.order = orders[0] if orders else None

    @property
    def nodes(self) -> list[str]:
        """The nodes entered."""
        return [fact.node for fact in self.facts if isinstance(fact, NodeEntered)]

    @property
    def answers(self) -> list[IvrAnswer]:
        """The answers given."""
        return [fact.answer for fact in self.facts if isinstance(fact, AnswerGiven)]


def test_a_known_caller_is_asked_nothing_we_know() -> None:
    """Greeting, menu, queue: no account number from somebody whose number tells who it is."""
    told = Told(match=KNOWN)
    assert told.hear(Played(), Played("2")) == Play(DEFAULT.nodes["to_support"].says())
    assert told.hear(Played()) == Enqueue("support", "en", (), 10, "support")
    assert told.nodes == ["greet", "menu", "who", "route", "to_support"]
    assert told.answers == [IvrAnswer("reason", "support")]
    told.hear(HandedOver())
    assert told.facts[0] == FlowStarted(at=100.0, call=CALL, flow="default", version=DEFAULT.version)
    assert told.facts[-1] == FlowEnded(at=104.0, call=CALL, how="queued")
    assert told.walk.is_over


@pytest.mark.parametrize("kind", [MatchKind.UNKNOWN, MatchKind.WITHHELD])
def test_an_unknown_caller_may_give_an_account_number(kind: MatchKind) -> None:
    """The number is looked up, its owner is told to everybody, and the digits are shown to nobody."""
    told = Told(match=Matched(kind))
    told.hear(Played(), Played(), KeyPressed("1"))
    assert told.nodes[-1] == "account"
    assert told.hear(Played("4")) == AwaitKey(3.0)
    assert told.hear(*map(KeyPressed, "0001"), KeyPressed("#")) == LookUp("40001")
    told.hear(LookedUp(CustomerId("C1")))
    assert told.answers[-1] == IvrAnswer("account", "*****")
    assert [fact for fact in told.facts if isinstance(fact, CallerIdentified)] == [
        CallerIdentified(at=told.now, call=CALL, customer=CustomerId("C1"), by="account number")
    ]
    assert told.hear(Played()) == Enqueue("sales", "en", (), 0, "sales")


def test_the_account_number_is_optional() -> None:
    """The pound key alone goes on to the queue without a lookup."""
    told = Told(match=Matched(MatchKind.UNKNOWN))
    told.hear(Played(), Played("3"), Played("#"))
    assert told.nodes[-1] == "to_billing"
    assert told.hear(Played()) == Enqueue("billing", "en", (), 0, "billing")


def test_an_unknown_account_goes_on() -> None:
    """A number nobody has is said so, and the caller still reaches the queue."""
    told = Told(match=Matched(MatchKind.UNKNOWN))
    told.hear(Played(), Played("3"), Played("9"), KeyPressed("9"), KeyPressed("9"), TimedOut())
    assert told.order == LookUp("999")
    told.hear(LookedUp(None))
    assert told.nodes[-1] == "not_found"
    told.hear(Played())
    assert told.nodes[-1] == "to_billing"


def test_too_few_digits_are_asked_again_then_let_be() -> None:
    """Two tries at the account number, then the queue."""
    told = Told(match=Matched(MatchKind.WITHHELD))
    told.hear(Played(), Played("1"), Played("9"), KeyPressed("#"))
    assert isinstance(told.order, Play)
    assert told.order.prompts[0] in DEFAULT.nodes["account"].says()
    told.hear(Played(), TimedOut())
    assert told.nodes[-1] == "to_sales"


def test_star_starts_the_digits_over() -> None:
    """What was typed before the star is forgotten."""
    told = Told(match=Matched(MatchKind.WITHHELD))
    told.hear(Played(), Played("1"), Played("9"), KeyPressed("*"), *map(KeyPressed, "123"), KeyPressed("#"))
    assert told.order == LookUp("123")


def test_a_shared_number_is_left_to_the_agent() -> None:
    """Several customers behind one number: no question, the agent asks who it is."""
    told = Told(match=Matched(MatchKind.SHARED))
    told.hear(Played(), Played("1"))
    assert told.nodes[-1] == "to_sales"


def test_zero_is_the_operator() -> None:
    """0 goes to support at once, as operator."""
    told = Told()
    assert told.hear(Played(), Played("0"), Played()) == Enqueue("support", "en", (), 0, "operator")


@pytest.mark.parametrize(
    "tries",
    [
        [Played("7"), Played("7"), Played("7")],
        [Played(), TimedOut(), Played(), TimedOut(), Played(), TimedOut()],
        [Played(), KeyPressed("9"), Played("*"), Played(), TimedOut()],
    ],
    ids=["wrong keys", "silence", "both"],
)
def test_three_tries_then_the_operator(tries: list[Input]) -> None:
    """Wrong keys and silence are told apart, counted together, and end with a person."""
    told = Told()
    told.hear(Played(), *tries)
    assert told.nodes == ["greet", "menu", "to_operator"]


def test_a_wrong_key_and_silence_are_answered_differently() -> None:
    """The caller hears what was wrong before the menu comes again."""
    told = Told()
    menu = DEFAULT.nodes["menu"]
    assert isinstance(menu, Menu)
    assert told.hear(Played(), Played("7")) == Play(menu.wrong + menu.prompts, "0123456789*#")
    assert told.hear(Played(), TimedOut()) == Play(menu.silent + menu.prompts, "0123456789*#")


def test_a_key_in_the_greeting_chooses_in_the_menu() -> None:
    """Who knows the menu need not wait for it."""
    told = Told(match=KNOWN)
    told.hear(Played("2"))
    assert told.nodes == ["greet", "menu", "who", "route", "to_support"]


def test_the_match_is_waited_for_shortly() -> None:
    """A late match is waited for at the branch and not before; without one the caller goes on."""
    late = Told()
    assert late.hear(Played(), Played("1")) == AwaitMatch(0.5)
    late.hear(Matched(MatchKind.UNKNOWN))
    assert late.nodes[-1] == "account"
    never = Told()
    never.hear(Played(), Played("1"), TimedOut())
    assert never.nodes[-1] == "to_sales"


def test_a_match_in_the_middle_of_a_prompt_changes_nothing_now() -> None:
    """The match is remembered for the branch and interrupts nothing."""
    told = Told()
    assert told.walk.receive(KNOWN, 101.0) == []
    assert told.walk.picture().ignored == 0
    told.hear(Played(), Played("1"))
    assert told.nodes[-1] == "to_sales"


def test_a_hang_up_ends_the_walk_anywhere() -> None:
    """Whatever was waited for, hung up is the end, and nothing follows it."""
    told = Told()
    told.hear(Played(), HungUp())
    assert told.facts[-1] == FlowEnded(at=102.0, call=CALL, how="hung_up")
    assert told.hear(Played(), HungUp(), HandedOver()) is None
    assert told.walk.picture().ignored == 3


def test_an_input_twice_or_out_of_turn_is_counted_and_does_nothing() -> None:
    """A key nobody waits for does not move the walk."""
    told = Told()
    before = told.walk.picture()
    told.hear(TimedOut(), LookedUp(None), HandedOver(), KeyPressed("1"))
    after = told.walk.picture()
    assert (after.node, after.awaiting, after.ignored) == (before.node, "Play", before.ignored + 4)


def test_a_walk_that_takes_too_long_ends_in_the_fallback() -> None:
    """After the flow's longest time the next input leads out, or the alarm does."""
    told = Told()
    told.now += DEFAULT.longest_s
    told.hear(Played())
    assert told.nodes[-1] == "to_operator"
    slow = Told()
    assert slow.walk.next_wake() == 100.0 + DEFAULT.longest_s
    assert slow.walk.wake(101.0) == []
    said = slow.walk.wake(100.0 + DEFAULT.longest_s)
    assert isinstance(said[-1], Play)
    assert slow.walk.picture().node == "to_operator"


def test_a_flow_that_turns_in_circles_ends() -> None:
    """A circle of nodes is left for the fallback after MAX_STEPS, even one without a single question."""
    circle = Say("a", (Sound("beep"),), "b"), Say("b", (Sound("beep"),), "a")
    out = Queue("out", "support", "lost")  # type: ignore[arg-type]
    told = Told(Flow("circle", "1", "a", "out", {"a": circle[0], "b": circle[1], "out": out}))
    for _ in range(MAX_STEPS + 1):
        if isinstance(told.order, Enqueue):
            break
        told.hear(Played())
    assert told.order == Enqueue("support", "en", (), 0, "lost")  # type: ignore[arg-type]


def test_a_menu_can_lead_to_itself() -> None:
    """A choice that repeats the menu starts its tries anew but not the walk's steps."""
    menu = Menu("m", (Sound("beep"),), {"9": Choice("again", "m")}, "out")
    told = Told(Flow("f", "1", "m", "out", {"m": menu, "out": Queue("out", "q", "r")}))  # type: ignore[arg-type]
    told.hear(*[Played("9")] * (MAX_STEPS + 5))
    assert told.walk.picture().node == "out"


inputs = st.one_of(
    st.just(TimedOut()),
    st.just(HungUp()),
    st.just(HandedOver()),
    st.builds(Played, st.sampled_from(["", "", "", *"0123456789*#ABCD"])),
    st.builds(KeyPressed, st.sampled_from("0123456789*#")),
    st.builds(LookedUp, st.sampled_from([None, CustomerId("C1")])),
    st.builds(Matched, st.sampled_from(MatchKind), st.sampled_from(["", "gold"])),
)


def fitting(order: Order, heard: Input) -> Input:
    """What may really come of this order, near to what was drawn."""
    key = heard.key if isinstance(heard, (Played, KeyPressed)) else ""
    if isinstance(order, Play):
        return Played(key if key and key in order.stop_keys else "")
    if isinstance(order, AwaitKey):
        return KeyPressed(key) if key else TimedOut()
    if isinstance(order, AwaitMatch):
        return heard if isinstance(heard, Matched) else TimedOut()
    if isinstance(order, LookUp):
        return heard if isinstance(heard, LookedUp) else LookedUp(None)
    return HandedOver()


@given(st.lists(inputs, min_size=200, max_size=200), st.sampled_from([None, *MatchKind]))
def test_every_caller_gets_out(drawn: list[Input], kind: MatchKind | None) -> None:
    """Any keys, silences and hang-ups end in a queue, a goodbye or a hang-up, within a bounded number of nodes."""
    told = Told(match=Matched(kind) if kind is not None else None)
    for heard in drawn:
        if told.order is None or told.walk.is_over:
            break
        told.hear(heard if isinstance(heard, HungUp) else fitting(told.order, heard))
    assert told.walk.is_over
    assert len(told.nodes) <= MAX_STEPS + 1
    ends = [fact.how for fact in told.facts if isinstance(fact, FlowEnded)]
    assert len(ends) == 1
    assert ends[0] in ("queued", "goodbye", "hung_up")


@given(st.lists(inputs, max_size=60))
def test_any_input_at_any_time_does_no_harm(heard: list[Input]) -> None:
    """Inputs in any order never raise, never give two orders at once, and after the end nothing comes any more."""
    told = Told()
    for one in heard:
        was_over = told.walk.is_over
        told.hear(one)
        assert not (was_over and told.order is not None)
        picture = told.walk.picture()
        assert (picture.state is WalkState.LEAVING) == (picture.awaiting in ("Enqueue", "Goodbye"))


def test_a_goodbye_is_an_end() -> None:
    """A flow may end with the PBX hanging up."""
    told = Told(Flow("f", "1", "bye", "bye", {"bye": Farewell("bye", (Sound("vm-goodbye"),))}))
    assert told.hear(Played()) == Goodbye()
    told.hear(HandedOver())
    assert told.facts[-1] == FlowEnded(at=102.0, call=CALL, how="goodbye")
