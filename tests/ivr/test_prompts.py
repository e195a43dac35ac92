"""Prompts as files: made once, found again, right for a telephone line; a machine without a voice says what it lacks."""

import shutil
import wave
from pathlib import Path

import pytest

from cti.errors import Unavailable
from ivr.load import load_flows
from ivr.prompts import RATE, Studio, Utterance, utterances

WELCOME = Utterance("Welcome. --help; $(id)", "en", "en-us")
CONFIG = Path(__file__).parents[2] / "config"

needs_voice = pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("sox")), reason="needs espeak-ng and sox"
)


@needs_voice
def test_a_prompt_is_rendered_for_the_telephone(tmp_path: Path) -> None:
    """8 kHz, mono, 16 bit, not silent, readable by others, and as long as it says."""
    made = Studio(tmp_path / "new" / "prompts", ("espeak-ng",), ("sox",)).render(WELCOME)
    file = Path(made.file + ".wav")
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2)
        length_s = sound.getnframes() / RATE
        assert len(set(sound.readframes(RATE))) > 50
    assert length_s < made.longest_s < length_s + 1
    assert file.is_absolute()
    assert file.stat().st_mode & 0o444 == 0o444
    assert [left.name for left in file.parent.iterdir()] == [file.name]


@needs_voice
def test_a_rendered_prompt_is_found_again(tmp_path: Path) -> None:
    """A second start renders nothing; another text, voice or language is another prompt; a torn file is made anew."""
    first = Studio(tmp_path, ("espeak-ng",), ("sox",))
    made = first.render(WELCOME)
    second = Studio(tmp_path, ("espeak-ng",), ("sox",))
    assert second.find(WELCOME) is None
    assert second.take_stock([WELCOME]) == []
    assert second.find(WELCOME) == made
    other = Utterance(WELCOME.text, "en", "en-gb")
    assert second.take_stock([other]) == [other]
    Path(made.file + ".wav").write_bytes(b"RIFF torn")
    assert Studio(tmp_path, ("espeak-ng",), ("sox",)).take_stock([WELCOME]) == [WELCOME]


def test_no_two_prompts_share_a_file() -> None:
    """Moving a letter from one part of the name to the next makes another file."""
    names = {Utterance("a", "en", "x").name, Utterance("a", "e", "nx").name, Utterance("na", "e", "x").name}
    assert len(names) == 3


def test_a_machine_without_a_voice_says_what_to_install(tmp_path: Path) -> None:
    """The missing program is named with its cure, and nothing half made is left behind."""
    with pytest.raises(Unavailable, match=r"no-such-espeak.*apt install espeak-ng sox"):
        Studio(tmp_path, ("no-such-espeak",), ("sox",)).render(WELCOME)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("espeak", "sox", "why"),
    [
        (("sh", "-c", "echo no such voice >&2; exit 1"), ("true",), "no such voice"),
        (
            ("sh", "-c", 'while [ "$1" != -w ]; do shift; done; echo x > "$2"', "sh"),
            ("true",),
            "prompts can't be written",
        ),
    ],
)
def test_a_program_that_fails_is_named(tmp_path: Path, espeak: tuple[str, ...], sox: tuple[str, ...], why: str) -> None:
    """What the program said is in the error."""
    with pytest.raises(Unavailable, match=why):
        Studio(tmp_path, espeak, sox).render(WELCOME)
    assert list(tmp_path.iterdir()) == []


def test_everything_a_flow_says_is_known_ahead() -> None:
    """Every prompt of every node, in every language asked for, each once."""
    flow = load_flows(CONFIG / "flows", {"sales", "support", "billing"})["default"]
    english, both = utterances(flow, ["en"]), utterances(flow, ["en", "es"])
    assert {said.voice for said in english} == {"en-us"}
    assert len(both) == 2 * len(english) >= 18
