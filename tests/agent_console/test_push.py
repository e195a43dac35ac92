"""The one step from a message to the socket."""

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from agent_console.push import text_header


@given(st.one_of(st.integers(0, 300), st.integers(65_000, 66_000)))
def test_a_frame_is_what_websockets_would_write(length: int) -> None:
    """Header and text are, byte for byte, the frame the library makes of the same text."""
    text = b"x" * length
    assert text_header(length) + text == Frame(Opcode.TEXT, text).serialize(mask=False, extensions=[])
