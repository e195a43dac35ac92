"""An installation without a daemon, for the doctor to look at: sound, and ways to spoil it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cti.demo.lab import Lab
from cti.doctor import examine
from cti.finding import Grade, Result

TOKEN = "doctor-token"


@dataclass
class Installation:
    """A folder as `offhook init` makes it, told where the lab is."""

    folder: Path
    lab: Lab
    agi_port: int

    @property
    def toml(self) -> Path:
        """The settings file."""
        return self.folder / "offhook.toml"

    def replace(self, file: str, old: str, new: str) -> None:
        """Spoil one of our files."""
        text = (self.folder / file).read_text()
        assert old in text, f"{old!r} is not in {file}"
        (self.folder / file).write_text(text.replace(old, new, 1))

    @contextmanager
    def at_the_pbx(self, file: str, old: str, new: str, reload: str) -> Iterator[None]:
        """Spoil one of Asterisk's files, reload it, and mend it afterwards."""
        conf = self.lab.run_dir / "etc" / file
        text = conf.read_text()
        assert old in text, f"{old!r} is not in {file}"
        conf.write_text(text.replace(old, new, 1))
        self.lab.console(reload)
        try:
            yield
        finally:
            conf.write_text(text)
            self.lab.console(reload)

    def check(self) -> list[Result]:
        """What the doctor says."""
        return asyncio.run(examine(self.toml))

    def ills(self) -> dict[str, Result]:
        """What is not good, by what was looked at; one for each."""
        ills = [result for result in self.check() if result.grade is not Grade.GOOD]
        assert len({ill.what for ill in ills}) == len(ills), ills
        return {ill.what: ill for ill in ills}
