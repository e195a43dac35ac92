"""Numbers from trunks of every habit, withheld ones, and ones that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.phone_number import WITHHELD_DISPLAY, read_number


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("+12025550123", "US", "+12025550123"),
        ("2025550123", "US", "+12025550123"),
        ("12025550123", "US", "+12025550123"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("01144 20 7946 0018", "US", "+442079460018"),
        ("442079460018", "US", "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("0049 30 123456", "US", "+4930123456"),
        ("+49 30 123456", "US", "+4930123456"),
        ("٢٠٢٥٥٥٠١٢٣", "US", "+12025550123"),
    ],
)
def test_every_way_of_writing_is_one_number(raw: str, region: str, e164: str) -> None:
    """The same number reads the same however the trunk writes it, and the raw text is kept."""
    number = read_number(raw, region)
    assert (number.e164, number.raw, number.is_withheld) == (e164, raw, False)
    assert number.key == e164
    assert number.last9 == e164[-9:]


def test_the_readings_of_one_number() -> None:
    """National digits, country and a form for a person go with the E.164."""
    number = read_number("+12025550123", "US")
    assert (number.national, number.country, number.display) == ("2025550123", "US", "(202) 555-0123")
    assert read_number("+12025550123", "DE").display == "+1 202-555-0123"


@pytest.mark.parametrize("raw", ["", "anonymous", "Anonymous", "Restricted", "unknown", "<unknown>", "0000000000", " "])
def test_withheld_is_withheld(raw: str) -> None:
    """What says that no number was given has no reading at all."""
    number = read_number(raw, "US")
    assert number.is_withheld
    assert (number.e164, number.national, number.last9, number.key, number.display) == (
        "",
        "",
        "",
        "",
        WITHHELD_DISPLAY,
    )


@pytest.mark.parametrize(("raw", "key"), [("204", "204"), ("911", "911"), ("alice", ""), ("sip:bob42", "")])
def test_what_is_no_number_has_no_e164(raw: str, key: str) -> None:
    """An extension is known by its digits, a name by nothing; neither becomes a number of the public network."""
    number = read_number(raw, "US")
    assert (number.e164, number.key, number.is_withheld) == ("", key, False)


def test_what_is_shown_has_no_control_characters() -> None:
    """An unreadable caller is shown as text of bounded length, without control characters."""
    number = read_number("x\r\nAction: Originate\x00\u202e" * 5, "US")
    assert number.display.isprintable()
    assert len(number.display) <= 40


@given(st.text(max_size=200), st.sampled_from(["US", "GB", "DE", "JP"]))
def test_any_text_has_a_reading(raw: str, region: str) -> None:
    """Whatever a network sends is read without an error, into readings that are digits."""
    number = read_number(raw, region)
    assert number.raw == raw
    assert number.e164 == "" or (number.e164[0] == "+" and number.e164[1:].isascii() and number.e164[1:].isdigit())
    assert all(reading == "" or reading.isdigit() for reading in (number.national, number.last9, number.digits))
    assert len(number.last9) in (0, 9)
    assert len(number.key) <= 32
