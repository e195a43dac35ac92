"""The port to a PBX over Asterisk's manager interface.

An agent's phone is rung by Originate under our own ChannelId into the pick context, where Asterisk itself bridges it
with the caller: nothing of the connection passes through us. No order is ever sent twice.
"""

from cti.ami.action import Action, Header, Verb, caller_id
from cti.ami.client import AmiClient
from cti.ami.link import ActionFailed
from cti.errors import PeerError, Refused
from cti.ids import LegId, call_of_offer, offer_of_leg
from cti.settings import PbxSettings

_NORMAL_CLEARING = "16"
"""Q.850 cause. Without it Asterisk notes cause 0, "Unknown", for what was an ordinary end."""


class AmiPbx:
    """`cti.pbx.Pbx` over a manager session. Legs are named by Uniqueid, which Asterisk takes wherever it takes a name."""

    def __init__(self, client: AmiClient, settings: PbxSettings) -> None:
        self._client = client
        self._settings = settings

    async def ring(
        self, leg: LegId, phone: str, caller_channel: str, caller_number: str, caller_name: str, ring_for_s: float
    ) -> None:
        """Originate `phone` as `leg` into the pick context. PeerError also for a channel name that can't be passed on."""
        offer = offer_of_leg(leg)
        headers = {
            Header.CHANNEL: phone,
            Header.CONTEXT: self._settings.pick_context,
            Header.EXTEN: "agent",
            Header.PRIORITY: "1",
            Header.TIMEOUT: str(max(1, round(ring_for_s * 1000))),
            Header.CALLER_ID: caller_id(caller_number, caller_name),
            Header.ASYNC: "true",
            Header.CHANNEL_ID: leg,
        }
        if phone.startswith("Local/"):
            headers[Header.OTHER_CHANNEL_ID] = far_half(leg)
        variables = {"OFFHOOK_CALLER": caller_channel, "OFFHOOK_CALL": call_of_offer(offer) if offer else ""}
        try:
            action = Action(Verb.ORIGINATE, headers, variables)
        except ValueError as exc:
            raise PeerError(f"this call can't be offered to {phone!r}: {exc}") from exc
        await self._client.send(action)

    async def hang_up(self, leg: LegId) -> None:
        """Hangup with cause 16; a leg that is gone is what was wanted."""
        action = Action(Verb.HANGUP, {Header.CHANNEL: leg, Header.CAUSE: _NORMAL_CLEARING})
        await self._send_unless_gone(action)

    async def pick_up(self, leg: LegId, phone: str) -> None:
        """Send the far half of a Local phone to `answered` of the hand-free context.

        Raises Refused("phone-by-hand") for every other phone, Refused("not-ringing") when the leg is gone.
        """
        if not self._is_hand_free(phone):
            raise Refused("phone-by-hand", "Answer this call on the phone itself.")
        headers = {
            Header.CHANNEL: far_half(leg),
            Header.CONTEXT: self._settings.hand_free_context,
            Header.EXTEN: "answered",
            Header.PRIORITY: "1",
        }
        if not await self._send_unless_gone(Action(Verb.REDIRECT, headers)):
            raise Refused("not-ringing", "The phone is not ringing any more.")

    async def set_variable(self, leg: LegId, name: str, value: str) -> None:
        """Setvar. Raises ValueError for a name outside the builder's list; no error when the leg is gone."""
        headers = {Header.CHANNEL: leg, Header.VARIABLE: name, Header.VALUE: value}
        await self._send_unless_gone(Action(Verb.SETVAR, headers))

    def _is_hand_free(self, phone: str) -> bool:
        technology, _, rest = phone.partition("/")
        context = rest.partition("/")[0].partition("@")[2]
        return technology == "Local" and context == self._settings.hand_free_context

    async def _send_unless_gone(self, action: Action) -> bool:
        """Whether there was still a channel to do it to."""
        try:
            await self._client.send(action)
        except ActionFailed as exc:
            if _says_gone(exc.message):
                return False
            raise
        return True


def far_half(leg: LegId) -> str:
    """The Uniqueid of a Local channel's other half, where ours is `leg`."""
    return f"{leg};2"


def _says_gone(message: str) -> bool:
    # manager.c: "No such channel" (Hangup, Setvar), "Channel does not exist: X" and "No such channel" (Redirect).
    text = message.lower()
    return text.startswith(("no such channel", "channel does not exist"))
