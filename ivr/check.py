"""The ivr's part of `offhook check`: every flow can be walked, every number's flow is there, every prompt can be spoken."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cti.errors import ConfigError, Unavailable
from cti.finding import Result, good, of_finding, warning, wrong
from cti.settings import Settings
from cti.site import Site
from ivr.flow import Flow
from ivr.load import load_flows
from ivr.prompts import Studio, Utterance, utterances

WHAT = "flows"
SPEECH = "prompts"


def check(settings: Settings, site: Site) -> list[Result]:
    """What there is to say of flows and prompts; blocks for the second it takes to speak one word in every voice."""
    try:
        flows = load_flows(settings.paths.flows, {spec.queue for spec in site.queues})
    except ConfigError as exc:
        return [of_finding(WHAT, finding) for finding in exc.findings]
    missing = list(_missing_flows(settings, site, flows))
    return [*(missing or [good(WHAT, f"{len(flows)} flows, every number's is there")]), *_speech(settings, site, flows)]


def _missing_flows(settings: Settings, site: Site, flows: dict[str, Flow]) -> Iterator[Result]:
    for spec in site.dnis:
        if spec.flow not in flows:
            why = f"{settings.paths.queues}: numbers.{spec.number}.flow: there is no flow called {spec.flow!r}"
            mend = f"choose from {', '.join(sorted(flows))}, or write {settings.paths.flows / spec.flow}.yaml"
            yield wrong(WHAT, why, mend)


def _speech(settings: Settings, site: Site, flows: dict[str, Flow]) -> Iterator[Result]:
    folder = settings.paths.prompts
    if not os.access(_nearest(folder), os.W_OK):
        yield wrong(
            SPEECH, f"{folder} can't be written to", "set paths.prompts to a folder we may write and Asterisk may read"
        )
        return
    asked = {spec.language for spec in site.dnis}
    said = {one for flow in flows.values() for one in utterances(flow, asked | {flow.language})}
    voices = sorted({(one.language, one.voice) for one in said})
    with tempfile.TemporaryDirectory(prefix="offhook-check-") as scratch:
        studio = Studio(Path(scratch), settings.speech.espeak, settings.speech.sox)
        for language, voice in voices:
            try:
                studio.render(Utterance("1", language, voice))
            except Unavailable as exc:
                mend = "install espeak-ng and sox, or name them under [speech]; for a voice: `voices` of the flow"
                yield warning(SPEECH, f"callers hear stock sounds instead ({language}, voice {voice}): {exc}", mend)
                return
    yield good(SPEECH, f"can be spoken: {', '.join(f'{language} ({voice})' for language, voice in voices) or 'none'}")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
