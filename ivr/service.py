"""The ivr room: walks callers through their flow on the dialplan's `inbound` script, receives those who wait on `hold`.

Feeds `flow.Walk` (one per caller) and `hold.Hold` (one for all), carries out their orders over AGI, plays what `prompts`
rendered. Whatever goes wrong with one caller sends that caller to the dialplan's failsafe and nobody else.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager

import structlog

from cti.agi import AgiSession, HungUp, LetGo
from cti.caller import MatchKind
from cti.errors import CtiError, PeerError, Unavailable
from cti.events import (
    CallConnected,
    CallEnded,
    CallerMatched,
    CallFact,
    CallFailedSafe,
    CallMerged,
    CallQueued,
    Fact,
    FlowEnded,
    PbxSynced,
)
from cti.ids import CallId, LegId, QueueId
from cti.requests import FindByAccount
from cti.rooms import Hall
from ivr import hold, step
from ivr.flow import Flow, Walk
from ivr.load import DEFAULT, load_flows
from ivr.prompts import Recording, Studio, Utterance, utterance_of, utterances
from ivr.step import Prompt, Prompts, Sound

log = structlog.get_logger()

RENDER_AHEAD_S = 20.0
"""How long opening waits for prompts; the rest is rendered while calls are taken."""

LOOKUP_S = 1.5
"""Longest wait for the customers room to say whose account it is."""

STOCK_SOUND_S = 15.0
"""No sound of Asterisk's own that a flow uses is longer."""

DISARM_S = 2.0

NEXT = "OFFHOOK_NEXT"
TO_HOLD = "offhook-hold,s,1"
TO_FAILSAFE = "offhook-failsafe,s,1"


@asynccontextmanager
async def open_room(hall: Hall) -> AsyncIterator[None]:
    """Load every flow, render its prompts, serve the dialplan. Raises ConfigError with every mistake of every flow."""
    queues = {spec.queue for spec in hall.site.queues}
    flows = await asyncio.to_thread(load_flows, hall.settings.paths.flows, queues)
    for spec in hall.site.dnis:
        if spec.flow not in flows:
            log.warning("no such flow; the default one answers", flow=spec.flow, dnis_name=spec.name)
    async with asyncio.TaskGroup() as group:
        room = _Ivr(hall, flows, group)
        rendering = group.create_task(room.render(room.everything_said()))
        await asyncio.wait({rendering}, timeout=RENDER_AHEAD_S)
        with ExitStack() as doors:
            for close in room.open_doors():
                doors.callback(close)
            hall.health.say("ivr", True, f"{len(flows)} flows", hall.clock.now())
            try:
                yield
            finally:
                rendering.cancel()
                room.stop()


class _Ivr:
    """One open ivr room."""

    def __init__(self, hall: Hall, flows: dict[str, Flow], group: asyncio.TaskGroup) -> None:
        self._hall = hall
        self._flows = flows
        self._group = group
        speech = hall.settings.speech
        self._studio = Studio(hall.settings.paths.prompts, speech.espeak, speech.sox)
        self._hold = hold.Hold()
        self._matches: dict[CallId, step.Matched] = {}
        self._match_came: dict[CallId, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unrendered: set[Utterance] = set()

    def open_doors(self) -> Iterable[Callable[[], None]]:
        """Serve the scripts, hear the Facts; yields the ways to stop."""
        yield self._hall.agi.serve("inbound", self._inbound)
        yield self._hall.agi.serve("hold", self._on_hold)
        yield self._hall.agi.serve("check", self._check)
        yield self._hall.bus.hear((CallQueued, CallConnected, CallMerged, CallEnded, PbxSynced), self._hear)
        yield self._hall.bus.hear(CallerMatched, self._hear_match)

    def stop(self) -> None:
        """Give up what runs in the background."""
        for task in self._tasks:
            task.cancel()

    # --- prompts ---------------------------------------------------------------------------------------------------

    def everything_said(self) -> set[Utterance]:
        """Every utterance of every flow, for every language somebody may be spoken to in."""
        asked = {spec.language for spec in self._hall.site.dnis}
        return {said for flow in self._flows.values() for said in utterances(flow, asked | {flow.language})}

    async def render(self, wanted: Iterable[Utterance]) -> None:
        """Render what is not rendered yet; a machine that can't speak is warned of once and plays stock sounds."""
        missing = await asyncio.to_thread(self._studio.take_stock, wanted)
        for done, utterance in enumerate(sorted(missing, key=lambda said: said.name), 1):
            try:
                await asyncio.to_thread(self._studio.render, utterance)
            except Unavailable as exc:
                log.warning("prompts can't be rendered; callers hear stock sounds instead", why=str(exc))
                return
            if done % 10 == 0 or done == len(missing):
                log.info("prompts rendered", done=done, of=len(missing))

    def _recording(self, prompt: Prompt, flow: Flow, language: str) -> Recording:
        if isinstance(prompt, Sound):
            return Recording(prompt.name, STOCK_SOUND_S)
        utterance = utterance_of(prompt, flow, language)
        recording = self._studio.find(utterance)
        if recording is not None:
            return recording
        if utterance not in self._unrendered:
            self._unrendered.add(utterance)
            log.warning("a prompt is not rendered; a stock sound is played", flow=flow.name, instead=prompt.instead)
        return Recording(prompt.instead, STOCK_SOUND_S)

    async def _play(self, session: AgiSession, prompts: Prompts, flow: Flow, language: str, stop_keys: str = "") -> str:
        for prompt in prompts:
            recording = self._recording(prompt, flow, language)
            key = await session.play(recording.file, stop_keys, recording.longest_s)
            if key:
                return key
        return ""

    # --- the script `inbound`: the walk ----------------------------------------------------------------------------

    async def _inbound(self, session: AgiSession) -> None:
        flow, language = self._flow_for(session.dnis)
        await session.answer()
        walk = Walk(flow, session.call, language)
        with self._session_open(session):
            try:
                if language != flow.language:
                    await session.set_variable("CHANNEL(language)", language)
                await self._walk(walk, flow, session)
            except LetGo as exc:
                self._left_to_failsafe(session.call, str(exc))
            except HungUp:
                self._publish(walk.receive(step.HungUp(), self._hall.clock.now()))
            except asyncio.CancelledError:
                self._left_to_failsafe(session.call, "the daemon stops")
                raise
            except Exception as exc:  # one caller's failure is one caller's failure
                log.exception("the walk failed", call=session.call, flow=flow.name, at=walk.picture().node)
                self._left_to_failsafe(session.call, type(exc).__name__)
                await self._send_to_failsafe(session)

    async def _walk(self, walk: Walk, flow: Flow, session: AgiSession) -> None:
        match = self._matches.get(session.call)
        if match is not None:
            walk.receive(match, self._hall.clock.now())
        said = walk.begin(self._hall.clock.now())
        while (order := self._publish(said)) is not None:
            heard = await self._carry_out(order, walk, flow, session)
            latest = self._matches.get(session.call)
            if latest is not None and latest is not match and latest is not heard:
                walk.receive(latest, self._hall.clock.now())
            match = latest
            said = walk.receive(heard, self._hall.clock.now())

    def _publish(self, said: Sequence[step.Order | Fact]) -> step.Order | None:
        """Tell the Facts; returns the order among them."""
        order: step.Order | None = None
        for word in said:
            if isinstance(word, Fact):
                self._hall.bus.publish(word)
            else:
                order = word
        return order

    async def _carry_out(self, order: step.Order, walk: Walk, flow: Flow, session: AgiSession) -> step.Input:
        match order:
            case step.Play(prompts, stop_keys):
                return step.Played(await self._play(session, prompts, flow, walk.language, stop_keys))
            case step.AwaitKey(timeout_s):
                key = await session.wait_for_key(timeout_s)
                return step.KeyPressed(key) if key else step.TimedOut()
            case step.AwaitMatch(timeout_s):
                await session.expect_silence(timeout_s)
                return await self._await_match(session.call, timeout_s)
            case step.LookUp(account):
                await session.expect_silence(LOOKUP_S)
                return await self._look_up(account, session.call)
            case step.Enqueue():
                await self._enqueue(order, session)
            case _:
                await session.set_variable(NEXT, "")
        return step.HandedOver()

    async def _await_match(self, call: CallId, timeout_s: float) -> step.Input:
        if call not in self._matches:
            came = self._match_came[call] = asyncio.Event()
            try:
                async with asyncio.timeout(timeout_s):
                    await came.wait()
            except TimeoutError:
                return step.TimedOut()
            finally:
                self._match_came.pop(call, None)
        return self._matches.get(call, step.TimedOut())

    async def _look_up(self, account: str, call: CallId) -> step.Input:
        try:
            return step.LookedUp(await self._hall.bus.ask(FindByAccount(account=account), LOOKUP_S))
        except CtiError as exc:
            log.warning("account not looked up", call=call, why=str(exc))
            return step.LookedUp(None)

    async def _enqueue(self, order: step.Enqueue, session: AgiSession) -> None:
        """Give the channel what it must carry over a restart of ours, then tell that the caller waits."""
        now = self._hall.clock.now()
        if session.call not in self._matches:
            # Matching begins at the arrival and takes milliseconds; who is not matched after a menu was not seen to arrive.
            mend = f"is the context of its trunk ({session.channel}) among pbx.trunk_contexts?"
            log.warning("a caller is queued whom nobody matched", call=session.call, mend=mend)
        spec = self._hall.site.queue(order.queue)
        carried = {
            "OFFHOOK_QUEUE": order.queue,
            "OFFHOOK_SINCE": f"{now:.3f}",
            "OFFHOOK_LANGUAGE": order.language,
            "OFFHOOK_PRIORITY": str(order.priority),
            "OFFHOOK_REASON": order.reason,
            "OFFHOOK_MUSIC": spec.music if spec is not None else "default",
            NEXT: TO_HOLD,
        }
        for name, value in carried.items():
            await session.set_variable(name, value)
        self._hall.bus.publish(
            CallQueued(
                at=now,
                call=session.call,
                queue=order.queue,
                channel=session.channel,
                language=order.language,
                skills=order.skills,
                priority=order.priority,
                reason=order.reason,
                ani=session.ani,
            )
        )

    # --- the script `hold`: callers who wait, or have talked -------------------------------------------------------

    async def _on_hold(self, session: AgiSession) -> None:
        with self._session_open(session):
            visit = self._visit(session)
            for order in self._told_by_hold(visit):
                match order:
                    case hold.KeepWaiting():
                        await session.set_variable(NEXT, TO_HOLD)
                    case hold.SayFarewell():
                        flow, _ = self._flow_for(session.dnis)
                        await session.set_variable(NEXT, "")
                        await self._play(session, flow.after_talk, flow, visit.language)
                    case hold.FailSafe(why):
                        log.error("a waiting caller can't be served", call=session.call, why=why)
                        self._hall.bus.publish(CallFailedSafe(at=self._hall.clock.now(), call=session.call, why=why))
                        await session.set_variable(NEXT, TO_FAILSAFE)

    def _visit(self, session: AgiSession) -> hold.CameBy:
        """The script's arguments as our dialplan gives them; a missing or broken one is as good as none."""
        queue, since, served, language, priority, reason = (*session.arguments, *("",) * 6)[:6]
        return hold.CameBy(
            call=session.call,
            channel=session.channel,
            queue=QueueId(queue),
            is_queue_known=self._hall.site.queue(queue) is not None,
            since=_number(since),
            is_served=served == "1",
            language=language or self._flow_for(session.dnis)[1],
            priority=int(_number(priority) or 0),
            reason=reason,
            ani=session.ani,
        )

    async def _check(self, session: AgiSession) -> None:
        """`offhook check` asks from the PBX whether we can be reached: an emptied OFFHOOK_NEXT is the answer."""
        log.info("reached from the PBX", call=session.call)
        await session.set_variable(NEXT, "")

    # --- what is heard ---------------------------------------------------------------------------------------------

    def _hear(self, fact: Fact) -> None:
        self._told_by_hold(fact)
        if isinstance(fact, CallEnded):
            self._matches.pop(fact.call, None)
        elif isinstance(fact, PbxSynced):
            up = set(fact.calls)
            self._matches = {call: match for call, match in self._matches.items() if call in up}

    def _hear_match(self, fact: CallerMatched) -> None:
        is_one = fact.kind in (MatchKind.KNOWN, MatchKind.LIKELY) and fact.candidates
        self._matches[fact.call] = step.Matched(fact.kind, fact.candidates[0].tier if is_one else "")
        if (came := self._match_came.get(fact.call)) is not None:
            came.set()

    def _told_by_hold(self, heard: hold.Heard) -> list[hold.Order]:
        """Feed the hold; tell its Facts, clear limits that would cut a talk, return what is left to do."""
        orders: list[hold.Order] = []
        for word in self._hold.receive(heard, self._hall.clock.now()):
            if isinstance(word, Fact):
                self._hall.bus.publish(word)
            elif isinstance(word, hold.Disarm):
                self._soon(self._disarm(word.leg, heard))
            else:
                orders.append(word)
        return orders

    async def _disarm(self, leg: str, because: hold.Heard) -> None:
        call = because.call if isinstance(because, CallFact) else ""
        try:
            async with asyncio.timeout(DISARM_S):
                await self._hall.pbx.set_variable(LegId(leg), "TIMEOUT(absolute)", "0")
        except (CtiError, TimeoutError) as exc:
            log.warning("a time limit was not cleared; the dialplan waits for it", call=call, why=str(exc))

    # --- small parts -----------------------------------------------------------------------------------------------

    def _flow_for(self, dnis: str) -> tuple[Flow, str]:
        """The flow and the language of this number; the default flow for a number nobody named, or a flow nobody wrote."""
        spec = next((spec for spec in self._hall.site.dnis if spec.number == dnis), None)
        flow = self._flows.get(spec.flow if spec is not None else DEFAULT, self._flows[DEFAULT])
        return flow, spec.language if spec is not None else flow.language

    @contextmanager
    def _session_open(self, session: AgiSession) -> Iterator[None]:
        """The hold knows how long a time limit of ours may be on the channel."""
        self._told_by_hold(hold.SessionOpened(session.call, session.leg))
        try:
            yield
        finally:
            self._told_by_hold(hold.SessionClosed(session.call))

    def _left_to_failsafe(self, call: CallId, why: str) -> None:
        now = self._hall.clock.now()
        self._hall.bus.publish(FlowEnded(at=now, call=call, how="failed"))
        self._hall.bus.publish(CallFailedSafe(at=now, call=call, why=why))

    async def _send_to_failsafe(self, session: AgiSession) -> None:
        try:
            await session.set_variable(NEXT, TO_FAILSAFE)
        except (HungUp, PeerError):
            # The dialplan goes there by itself: OFFHOOK_NEXT is the failsafe until somebody says otherwise.
            log.info("the caller was gone already", call=session.call)

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _number(text: str) -> float | None:
    """A finite decimal from a channel variable, None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
