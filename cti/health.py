"""Whether we are well: parts say up or down with a reason; `/readyz` and `offhook check` read it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One part's word on itself; `since` is Unix seconds."""

    is_up: bool
    why: str
    since: float


@dataclass(slots=True)
class Health:
    """Every part's latest word."""

    parts: dict[str, PartHealth] = field(default_factory=dict)

    def say(self, part: str, is_up: bool, why: str, now: float) -> None:
        """Note that `part` is up or down; an unchanged word keeps its `since`."""
        known = self.parts.get(part)
        since = known.since if known is not None and known.is_up == is_up else now
        self.parts[part] = PartHealth(is_up, why, since)

    def is_ready(self) -> bool:
        """True when every part that has spoken is up."""
        return all(part.is_up for part in self.parts.values())
