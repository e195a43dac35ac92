"""The port to a PBX: what we may ask of one. Whatever becomes of it comes back as Facts (LegRinging, LegEnded ...).

A channel is named by `channel` (its name, for the caller we connect to) or by `leg` (its Uniqueid). Implemented over AMI by
`cti.ami.pbx` and by a scripted one in `cti.testing`.
"""

from typing import Protocol

from cti.ids import LegId


class Pbx(Protocol):
    """What may be asked of a PBX. Every method raises Unavailable (link down) or PeerError (it said no)."""

    async def ring(
        self, leg: LegId, phone: str, caller_channel: str, caller_number: str, caller_name: str, ring_for_s: float
    ) -> None:
        """Ring `phone` (`PJSIP/ann`) as `leg`; on answer the PBX itself bridges it with `caller_channel`.

        Returns when the PBX has taken the order. Never sent twice: an order whose fate is unknown raises Unavailable.
        """

    async def hang_up(self, leg: LegId) -> None:
        """End this leg; no error when it is gone already."""

    async def pick_up(self, leg: LegId, phone: str) -> None:
        """Answer a ringing phone from here. Raises Refused("phone-by-hand") for phones that can't be answered remotely."""

    async def set_variable(self, leg: LegId, name: str, value: str) -> None:
        """Set a channel variable or function (name from the adapter's allow-list) on a leg; no error when it is gone."""
