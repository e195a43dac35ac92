"""What a demo has shown, counted from the Facts as they were told: pops, rings, and the time between them."""

from cti.bus import Bus
from cti.events import CallOffered, Fact, LegRinging, PopPainted
from cti.ids import OfferId, offer_of_leg


class PopFigures:
    """For every offer: when it was made, when the browser had painted it, when the phone rang (Unix seconds)."""

    def __init__(self, bus: Bus) -> None:
        self.offered: dict[OfferId, float] = {}
        self.painted: dict[OfferId, float] = {}
        self.rang: dict[OfferId, float] = {}
        bus.hear((CallOffered, PopPainted, LegRinging), self._hear)

    def _hear(self, fact: Fact) -> None:
        match fact:
            case CallOffered():
                self.offered.setdefault(fact.offer, fact.at)
            case PopPainted():
                self.painted.setdefault(fact.offer, fact.at)
            case LegRinging():
                offer = offer_of_leg(fact.leg)
                if offer is not None:
                    self.rang.setdefault(offer, fact.at)

    def report(self) -> dict[str, object]:
        """`shown`: pops painted; `before_ring`: phones that rang after their pop was painted.

        `lead_ms`: by how much the pop came first, in milliseconds, over the offers that rang.
        """
        leads = sorted((at - self.painted[offer]) * 1000 for offer, at in self.rang.items() if offer in self.painted)
        return {
            "shown": len(self.painted),
            "before_ring": sum(lead > 0 for lead in leads),
            "lead_ms": {name: percentile(leads, share) for name, share in (("p50", 0.5), ("p95", 0.05), ("p99", 0.01))},
        }


def percentile(in_order: list[float], share: float) -> float | None:
    """The value below which `share` of them lie, None of nothing.

    For a lead the bad end is the short one: its "p95" is what 95 % of the pops had at least, so the caller asks for 0.05.
    """
    if not in_order:
        return None
    return round(in_order[min(len(in_order) - 1, int(share * len(in_order)))], 2)
