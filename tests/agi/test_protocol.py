"""FastAGI as bytes: what Asterisk would read of what we write, and what we read of whatever comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.agi import protocol
from cti.errors import PeerError
from tests.agi.asterisk_side import TOKEN, opening, split_words

sendable = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=200)


@given(sendable)
def test_a_quoted_argument_is_one_word(argument: str) -> None:
    """Whatever can be sent reaches Asterisk as exactly one word, unchanged, between its neighbours."""
    line = f"SET VARIABLE {protocol.quote('X')} {protocol.quote(argument)} END"
    assert split_words(line) == ["SET", "VARIABLE", "X", argument, "END"]


@given(st.text(max_size=40), st.sampled_from("\r\n\0\x1b\x7f\t"), st.text(max_size=40))
def test_control_characters_are_refused(before: str, control: str, after: str) -> None:
    """No second command can be smuggled in: an argument with a control character is refused, not mended."""
    with pytest.raises(ValueError, match="control"):
        protocol.quote(before + control + after)


@given(sendable, sendable)
def test_a_command_is_one_line(file: str, value: str) -> None:
    """A command ends with its only newline, or is refused for its length."""
    try:
        line = protocol.command("STREAM FILE", file, value)
    except ValueError:
        assert len(file.encode()) + len(value.encode()) > 900
    else:
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert len(line) <= protocol.COMMAND_BYTES


@pytest.mark.parametrize(
    "name", ["OFFHOOK_NEXT", "__OFFHOOK_X", "SHARED(OFFHOOK_SERVED)", "TIMEOUT(absolute)", "CHANNEL(language)"]
)
def test_our_own_variables_can_be_set(name: str) -> None:
    """The names the dialplan knows are on the list."""
    assert split_words(protocol.set_variable(name, "1").decode().rstrip("\n"))[2] == name


@pytest.mark.parametrize(
    "name", ["SHELL(rm)", "PATH", "OFFHOOK_NEXT\n", "offhook-x", "SHARED(X)", "FILE(/etc/passwd)", "", "OFFHOOK_"]
)
def test_foreign_names_are_refused(name: str) -> None:
    """A name outside the list is refused, functions that touch the PBX's host above all."""
    with pytest.raises(ValueError, match="not a variable"):
        protocol.set_variable(name, "1")
    with pytest.raises(ValueError, match="not a variable"):
        protocol.get_variable(name.replace("PATH", "SHELL(ls)").replace("OFFHOOK_", "") or "")


def test_stop_keys_are_keys() -> None:
    """Only keys of a telephone are sent as such."""
    assert protocol.play("/p/a", "12#") == b'STREAM FILE "/p/a" "12#"\n'
    with pytest.raises(ValueError, match="not keys"):
        protocol.play("/p/a", "1 \n")


def test_an_opening_is_read() -> None:
    """Token, script, arguments and the caller come out of Asterisk's headers."""
    opened = protocol.read_opening(opening("hold", arguments=("1700.1", "sales", "", "1")))
    assert (opened.token, opened.script) == (TOKEN, "hold")
    assert opened.arguments == ("1700.1", "sales", "", "1")
    assert (opened.channel, opened.leg) == ("PJSIP/trunk-00000001", "1700.1")
    assert (opened.ani, opened.caller_name, opened.dnis) == ("+15551234567", "Ann Caller", "1000")


@pytest.mark.parametrize(
    ("number", "pres", "ani"),
    [
        ("unknown", "67", ""),
        ("+15551234567", "32", ""),
        ("+15551234567", "35", ""),
        ("Anonymous", "0", ""),
        ("+15551234567", "3", "+15551234567"),
        ("+15551234567", "junk", "+15551234567"),
    ],
)
def test_a_withheld_number_stays_withheld(number: str, pres: str, ani: str) -> None:
    """A number the network marks as not to be shown is not shown to us either."""
    assert protocol.read_opening(opening(callerid=number, callingpres=pres)).ani == ani


@pytest.mark.parametrize(
    ("extension", "dnid", "dnis"),
    [("1000", "1000", "1000"), ("s", "1000", "1000"), ("s", "unknown", ""), ("2000", "1", "2000")],
)
def test_the_number_dialed(extension: str, dnid: str, dnis: str) -> None:
    """The extension is the number dialed, except where the dialplan uses a letter."""
    assert protocol.read_opening(opening(extension=extension, dnid=dnid)).dnis == dnis


@given(st.binary(max_size=400))
def test_garbage_is_a_peer_error(block: bytes) -> None:
    """Bytes that are no opening raise PeerError and nothing else."""
    try:
        opened = protocol.read_opening(block)
    except PeerError:
        return
    assert "agi_network_script" in opened.headers


def test_too_many_lines_are_refused() -> None:
    """An opening has a bounded number of lines and bytes."""
    with pytest.raises(PeerError, match="lines"):
        protocol.read_opening(b"agi_x: 1\n" * 201)
    with pytest.raises(PeerError, match="bytes"):
        protocol.read_opening(b"agi_x: " + b"1" * protocol.HEADER_BYTES)


def test_an_empty_token_is_nobodys() -> None:
    """Without a token nobody is let in."""
    assert not protocol.is_right_token("", "")
    assert not protocol.is_right_token("x", "y")
    assert protocol.is_right_token("x", "x")


@pytest.mark.parametrize(
    ("lines", "code", "result", "text", "endpos", "key"),
    [
        ([b"200 result=0\n"], 200, "0", "", None, ""),
        ([b"200 result=49 endpos=8000\n"], 200, "49", "", 8000, "1"),
        ([b"200 result=-1 endpos=12\n"], 200, "-1", "", 12, ""),
        ([b"200 result=1 (a (b) c)\n"], 200, "1", "a (b) c", None, ""),
        ([b"200 result= (timeout)\n"], 200, "", "timeout", None, ""),
        ([b"200 result=1 (x) endpos=7\n"], 200, "1", "x", 7, ""),
        ([b"510 Invalid or unknown command\n"], 510, "", "Invalid or unknown command", None, ""),
        (
            [b"511 Command Not Permitted on a dead channel\n"],
            511,
            "",
            "Command Not Permitted on a dead channel",
            None,
            "",
        ),
        (
            [b"520-Invalid\n", b" Usage: X\n", b"200 result=1\n", b"520 End of proper usage.\n"],
            520,
            "",
            "Invalid",
            None,
            "",
        ),
        ([b"100 Trying...\n", b"200 result=35\n"], 200, "35", "", None, "#"),
    ],
)
def test_replies(lines: list[bytes], code: int, result: str, text: str, endpos: int | None, key: str) -> None:
    """A reply is whole at its last line and not before; a 520's usage text is never taken for another reply."""
    for count in range(1, len(lines)):
        assert protocol.read_reply(lines[:count]) is None
    reply = protocol.read_reply(lines)
    assert reply == protocol.Reply(code, result, text, endpos)
    assert reply.key == key


@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"") + b"\n"), min_size=1, max_size=6))
def test_reply_garbage_is_a_peer_error(lines: list[bytes]) -> None:
    """Lines that are no reply raise PeerError and nothing else."""
    for count in range(1, len(lines) + 1):
        try:
            reply = protocol.read_reply(lines[:count])
        except PeerError:
            return
        if reply is not None:
            assert len(reply.key) <= 1
            return
