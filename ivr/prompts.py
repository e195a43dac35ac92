"""Prompts rendered ahead of time by espeak-ng and sox, as files that Asterisk plays: 8 kHz, mono, 16 bit.

A file is named by what is said, by whom and in which language, so a changed text is a new file and an old one is found
again after a restart. Rendering blocks: call it in a thread.
"""

import hashlib
import os
import subprocess
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cti.errors import Unavailable
from ivr.flow import Flow
from ivr.step import Spoken

RATE = 8000
"""Samples per second of a telephone line."""

WORDS_PER_MINUTE = 155

_RENDER_S = 30.0
_INSTALL = "install espeak-ng and sox (Debian, Ubuntu: apt install espeak-ng sox) or name them under [speech]"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One text in one voice."""

    text: str
    language: str
    voice: str

    @property
    def name(self) -> str:
        """The fingerprint its file goes by."""
        words = "\0".join(("1", self.voice, self.language, self.text))
        return hashlib.sha256(words.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound as Asterisk is asked for it: `file` without extension, at most `longest_s` long."""

    file: str
    longest_s: float


class Studio:
    """The rendered prompts of one folder, which Asterisk must be able to read."""

    def __init__(self, folder: Path, espeak: Sequence[str], sox: Sequence[str]) -> None:
        self._folder = folder.absolute()
        self._espeak = tuple(espeak)
        self._sox = tuple(sox)
        self._recordings: dict[Utterance, Recording] = {}

    def find(self, utterance: Utterance) -> Recording | None:
        """The recording where it is rendered and known, without touching the disk."""
        return self._recordings.get(utterance)

    def take_stock(self, utterances: Iterable[Utterance]) -> list[Utterance]:
        """Note which are rendered already; returns those that are not."""
        return [utterance for utterance in utterances if not self._is_on_disk(utterance)]

    def render(self, utterance: Utterance) -> Recording:
        """Render it. Raises Unavailable naming the program that is missing or fails, and what to install."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise Unavailable(str(self._folder), f"prompts can't be written: {exc}") from exc
        final = self._file(utterance)
        raw = final.with_suffix(f".{os.getpid()}.raw.wav")
        done = final.with_suffix(f".{os.getpid()}.done.wav")
        try:
            speak = ("-v", utterance.voice, "-s", str(WORDS_PER_MINUTE), "-w", str(raw), "--stdin")
            _run((*self._espeak, *speak), utterance.text)
            _run(
                (
                    *self._sox,
                    str(raw),
                    "-r",
                    str(RATE),
                    "-c",
                    "1",
                    "-b",
                    "16",
                    str(done),
                    "norm",
                    "-3",
                    "pad",
                    "0",
                    "0.2",
                )
            )
            done.chmod(0o644)
            done.replace(final)
        except OSError as exc:
            raise Unavailable(str(self._folder), f"prompts can't be written: {exc}") from exc
        finally:
            raw.unlink(missing_ok=True)
            done.unlink(missing_ok=True)
        if not self._is_on_disk(utterance):
            raise Unavailable(self._sox[0], "made no sound file of the right kind")
        return self._recordings[utterance]

    def _file(self, utterance: Utterance) -> Path:
        return self._folder / f"{utterance.name}.wav"

    def _is_on_disk(self, utterance: Utterance) -> bool:
        file = self._file(utterance)
        try:
            with wave.open(str(file), "rb") as sound:
                shape = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
                frames = sound.getnframes()
        except (OSError, EOFError, wave.Error):
            return False
        if shape != (RATE, 1, 2) or frames == 0:
            return False
        self._recordings[utterance] = Recording(str(file.with_suffix("")), frames / RATE + 0.5)
        return True


def _run(command: Sequence[str], text: str = "") -> None:
    try:
        subprocess.run(command, input=text.encode(), capture_output=True, check=True, timeout=_RENDER_S)
    except (FileNotFoundError, PermissionError) as exc:
        raise Unavailable(command[0], f"it can't be started; {_INSTALL}") from exc
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(command[0], f"no sound within {_RENDER_S:g} s") from exc
    except subprocess.CalledProcessError as exc:
        said = exc.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unavailable(command[0], said[0][:200] if said else f"exit status {exc.returncode}") from exc


def voice_of(flow: Flow, language: str) -> str:
    """The voice this flow uses for a language: the one it names, else espeak's own of that name."""
    return dict(flow.voices).get(language, language.replace("_", "-").lower())


def utterance_of(prompt: Spoken, flow: Flow, language: str) -> Utterance:
    """What a caller of this language hears of a prompt."""
    spoken_in, text = prompt.text(language)
    return Utterance(text, spoken_in, voice_of(flow, spoken_in))


def utterances(flow: Flow, languages: Iterable[str]) -> set[Utterance]:
    """Everything this flow may say to callers of these languages."""
    prompts = (*flow.after_talk, *(prompt for node in flow.nodes.values() for prompt in node.says()))
    spoken = [prompt for prompt in prompts if isinstance(prompt, Spoken)]
    return {utterance_of(prompt, flow, language) for prompt in spoken for language in languages}
