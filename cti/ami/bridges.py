"""Who shares a bridge with whom. A channel is in one bridge at most; an empty bridge is forgotten."""

from cti.ids import LegId


class Bridges:
    """Membership only; what a meeting or a parting means is for `Calls` to say."""

    __slots__ = ("_members", "_where")

    def __init__(self) -> None:
        self._where: dict[LegId, str] = {}
        self._members: dict[str, dict[LegId, None]] = {}

    def of(self, leg: LegId) -> str | None:
        """The bridge the channel is in, or None."""
        return self._where.get(leg)

    def members(self, bridge: str) -> tuple[LegId, ...]:
        """Who is in it, in the order they came; nobody is in a bridge we never heard of."""
        return tuple(self._members.get(bridge, ()))

    def names(self) -> tuple[str, ...]:
        """Every bridge somebody is in."""
        return tuple(self._members)

    def enter(self, bridge: str, leg: LegId) -> tuple[LegId, ...]:
        """Put a channel that is nowhere into a bridge; returns whom it finds there."""
        members = self._members.setdefault(bridge, {})
        found = tuple(members)
        members[leg] = None
        self._where[leg] = bridge
        return found

    def leave(self, leg: LegId) -> tuple[LegId, ...]:
        """Take a channel out of its bridge; returns whom it leaves behind."""
        bridge = self._where.pop(leg, None)
        if bridge is None:
            return ()
        members = self._members[bridge]
        del members[leg]
        if not members:
            del self._members[bridge]
        return tuple(members)

    def pour(self, source: str, target: str) -> list[tuple[LegId, LegId]]:
        """Everybody of `source` is in `target` now; returns who meets whom there."""
        moving = self._members.pop(source, {})
        if not moving or source == target:
            if moving:
                self._members[source] = moving
            return []
        staying = self._members.setdefault(target, {})
        met = [(leg, other) for leg in moving for other in staying]
        for leg in moving:
            self._where[leg] = target
        staying.update(moving)
        return met

    def picture(self) -> tuple[tuple[str, tuple[LegId, ...]], ...]:
        """Every bridge with its members, sorted by name."""
        return tuple(sorted((bridge, tuple(sorted(members))) for bridge, members in self._members.items()))
