"""What leaves for Asterisk: one action each, whatever the values."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cti.ami.action import MAX_LINE_BYTES, Action, Header, Verb, caller_id, display_name

HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from('\r\n\0,"\\()[]{}$|<>;:=/&')), max_size=60)


def lines_of(sent: bytes) -> list[str]:
    """The lines of the one action in `sent`."""
    assert sent.endswith(b"\r\n\r\n")
    body = sent[:-4]
    assert body.count(b"\r") == body.count(b"\n") == body.count(b"\r\n")
    assert b"\r\n\r\n" not in body
    assert b"\0" not in sent
    return body.decode().split("\r\n")


def attempt(
    verb: Verb, headers: dict[Header, str], variables: dict[str, str] | None = None
) -> tuple[Action | None, str]:
    """The action, or None and why it was refused."""
    try:
        return Action(verb, headers, variables), ""
    except ValueError as exc:
        return None, str(exc)


@given(HOSTILE, st.sampled_from([Header.CHANNEL, Header.EXTEN, Header.CALLER_ID, Header.VALUE, Header.USERNAME]))
@example("x\r\nAction: Command", Header.EXTEN)
def test_no_value_starts_another_line(value: str, header: Header) -> None:
    """A value is sent as it is on its own line, or refused by the header's name."""
    action, why = attempt(Verb.HANGUP, {header: value, Header.CAUSE: "16"})
    if action is None:
        assert header in why
        return
    expected = ["Action: Hangup", "ActionID: a-1", f"{header}: {value}", "Cause: 16"]
    assert lines_of(action.to_bytes("a-1")) == expected


@given(st.one_of(HOSTILE, st.sampled_from(["CALLER", "CALL"])), HOSTILE)
def test_variables_are_one_variable_or_refused(name: str, value: str) -> None:
    """Nothing Asterisk would split into a second variable, evaluate, or take for a function passes."""
    action, why = attempt(Verb.ORIGINATE, {Header.CHANNEL: "PJSIP/a1"}, {"OFFHOOK_" + name: value})
    if action is None:
        assert why.startswith("Variable")
        return
    assert lines_of(action.to_bytes("a"))[3:] == [f"Variable: OFFHOOK_{name}={value}"]
    assert not set(value) & set(',|"\\()[]{}$')


@pytest.mark.parametrize("name", ["SHELL(x)", "PATH", "OFFHOOK_x", "", "OFFHOOK_A=B", "TIMEOUT(digit)", "OFFHOOK_A,B"])
def test_variable_names_are_listed(name: str) -> None:
    """A name outside the list is refused, set at birth or later."""
    with pytest.raises(ValueError, match="Variable"):
        Action(Verb.ORIGINATE, {}, {name: "1"})
    with pytest.raises(ValueError, match="Variable"):
        Action(Verb.SETVAR, {Header.VARIABLE: name, Header.VALUE: "1"})


@pytest.mark.parametrize(
    "name", ["OFFHOOK_CALLER", "__OFFHOOK_CALL", "DEMO_KEYS", "TIMEOUT(absolute)", "SHARED(OFFHOOK_SERVED)"]
)
def test_our_own_variables_pass(name: str) -> None:
    """The dialplan's own names can be set."""
    sent = Action(Verb.SETVAR, {Header.VARIABLE: name, Header.VALUE: "0"}).to_bytes("a")
    assert lines_of(sent)[2:] == [f"Variable: {name}", "Value: 0"]


def test_unknown_verbs_and_headers_are_refused() -> None:
    """Only what is on the list has a way out."""
    with pytest.raises(ValueError, match="Command"):
        Action("Command")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Application"):
        Action(Verb.ORIGINATE, {"Application": "System"})  # type: ignore[dict-item]


def test_a_channel_is_never_a_pattern() -> None:
    """Hangup takes `/.../` for a regular expression over every channel; we never send one."""
    with pytest.raises(ValueError, match="Channel"):
        Action(Verb.HANGUP, {Header.CHANNEL: "/^PJSIP/"})


def test_long_lines_are_refused() -> None:
    """Asterisk would cut them silently; bytes count, not characters."""
    fits = "ü" * ((MAX_LINE_BYTES - len("Value: \r\n")) // 2)
    Action(Verb.SETVAR, {Header.VALUE: fits})
    with pytest.raises(ValueError, match=r"Value: .* bytes"):
        Action(Verb.SETVAR, {Header.VALUE: fits + "üü"})


@given(st.text(max_size=30))
@example("a\r\nAction: Originate")
def test_action_ids(action_id: str) -> None:
    """An id is letters and digits or refused."""
    try:
        sent = Action(Verb.PING).to_bytes(action_id)
    except ValueError:
        return
    assert lines_of(sent) == ["Action: Ping", f"ActionID: {action_id}"]


def test_secrets_stay_out_of_logs() -> None:
    """The text of an action shows no value."""
    assert "s3cret" not in repr(Action(Verb.LOGIN, {Header.SECRET: "s3cret"}))


@given(HOSTILE, HOSTILE)
@example('"><0900> \r\nAction: x', "+1\r\n555")
def test_a_caller_may_be_called_anything(name: str, number: str) -> None:
    """A hostile name makes a CallerID of one quoted name and one number, and never an error."""
    value = caller_id(number, name)
    Action(Verb.ORIGINATE, {Header.CALLER_ID: value})
    quoted, _, rest = value.removeprefix('"').partition('" <')
    assert not set(quoted) & set('"\\<>\r\n\0')
    assert rest.endswith(">")
    assert rest[:-1].isascii()
    assert not set(rest[:-1]) & set('"\\<> ')


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_ordinary_names_stay(name: str) -> None:
    """Letters of any script pass unchanged."""
    assume(name.isprintable())
    assert display_name(name) == name
