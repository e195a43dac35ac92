"""What the doctor says of one thing it looked at."""

from dataclasses import dataclass
from enum import StrEnum

from cti.errors import Finding


class Grade(StrEnum):
    """How it is."""

    GOOD = "good"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Result:
    """One thing looked at: what, how it is, why, and the mend where it is not good."""

    what: str
    grade: Grade
    why: str
    mend: str = ""

    @property
    def is_wrong(self) -> bool:
        """True when Offhook can't work like this."""
        return self.grade is Grade.WRONG

    def as_json(self) -> dict[str, str]:
        """The same for a program."""
        return {"what": self.what, "grade": self.grade, "why": self.why, "mend": self.mend}


def good(what: str, why: str) -> Result:
    """Nothing to mend."""
    return Result(what, Grade.GOOD, why)


def warning(what: str, why: str, mend: str) -> Result:
    """It works, but somebody should look."""
    return Result(what, Grade.WARNING, why, mend)


def wrong(what: str, why: str, mend: str) -> Result:
    """It can't work like this."""
    return Result(what, Grade.WRONG, why, mend)


def of_finding(what: str, finding: Finding, grade: Grade = Grade.WRONG) -> Result:
    """A mistake in a file, as a Result."""
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return Result(what, grade, f"{where}: {finding.key}: {finding.why}", finding.mend)
