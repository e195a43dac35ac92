"""What can go wrong, by who has to mend it.

CtiError
+- ConfigError   the operator's: file, line, key, why and the mend; all findings at once
+- Refused       a Request the rules forbid: back to the asker, with a stable code
+- PeerError     the other side broke its protocol (AMI, AGI, console)
+- Unavailable   the other side is away: back off, tell health, go on with the rest
"""

from collections.abc import Sequence
from dataclasses import dataclass


class CtiError(Exception):
    """Every error Offhook raises on purpose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in what the operator wrote, and how to mend it."""

    file: str
    key: str
    why: str
    mend: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        mend = f" Mend: {self.mend}" if self.mend else ""
        return f"{where}: {self.key}: {self.why}{mend}"


class ConfigError(CtiError):
    """Settings or configuration files that cannot be used; carries every finding, not just the first."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class Refused(CtiError):
    """A Request the rules forbid now. `code` is stable (for programs), `why` is for the person who asked."""

    def __init__(self, code: str, why: str) -> None:
        self.code = code
        self.why = why
        super().__init__(f"{code}: {why}")


class PeerError(CtiError):
    """The other side broke its protocol."""


class Unavailable(CtiError):
    """The other side is away. `who` names it; `since` is Unix seconds when known."""

    def __init__(self, who: str, why: str = "", since: float | None = None) -> None:
        self.who = who
        self.since = since
        super().__init__(f"{who} is unavailable{': ' + why if why else ''}")
