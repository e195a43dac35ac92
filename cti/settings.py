"""What the operator sets: `offhook.toml`, the environment (`OFFHOOK__PBX__HOST`) and files holding secrets.

Every mistake is found at once and named by file and key with its mend (`cti.errors.ConfigError`). A secret is given as
`secret` or, better, as `secret_file`; it never appears in a log or in `offhook check`.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


def _network(text: str) -> str:
    ipaddress.ip_network(text)  # its ValueError says what is wrong
    return text


Network = Annotated[str, AfterValidator(_network)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """One table of the settings file; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PbxSettings(Section):
    """The Asterisk we attach to (AMI)."""

    host: str = Field("127.0.0.1", description="Where Asterisk's manager interface listens.")
    port: Port = Field(5038, description="Its port.")
    user: str = Field("offhook", description="The manager user (see `offhook pbx print-config`).")
    secret: SecretStr = Field(SecretStr(""), description="The manager user's secret; better: `secret_file`.")
    secret_file: Path | None = Field(None, description="A file whose first line is the secret.")
    tls: bool = Field(False, description="Speak TLS to the manager interface.")
    md5_login: bool = Field(True, description="Log in by MD5 challenge instead of sending the secret.")
    trunk_contexts: tuple[str, ...] = Field(
        ("from-trunk", "from-pstn", "offhook-entry"),
        description="Dialplan contexts in which calls from outside begin.",
    )
    failsafe_queue: str = Field("offhook-failsafe", description="Asterisk queue callers reach when we are away.")
    pick_context: str = Field("offhook-pick", description="Context whose `agent` extension bridges agent and caller.")
    hand_free_context: str = Field(
        "offhook-demo-phones", description="Local phones of this context can be answered from the console."
    )
    ping_s: Seconds = Field(2.0, description="Seconds between pings; two unanswered ones mean the link is dead.")
    action_timeout_s: Seconds = Field(5.0, description="Seconds an action may take.")
    reconcile_s: Seconds = Field(30.0, description="Seconds between comparisons with Asterisk's own list of channels.")


class AgiSettings(Section):
    """Our FastAGI server, which the dialplan calls."""

    host: str = Field("127.0.0.1", description="Where we listen for Asterisk.")
    port: Port = Field(4573, description="Its port.")
    token: SecretStr = Field(SecretStr(""), description="The secret in the AGI URL; better: `token_file`.")
    token_file: Path | None = Field(None, description="A file whose first line is the token.")
    permit: tuple[Network, ...] = Field(("127.0.0.0/8", "::1/128"), description="Networks Asterisk may call from.")
    max_sessions: int = Field(2000, ge=1, description="Sessions at once; further ones are refused.")


class ConsoleSettings(Section):
    """The pages, the API and the WebSocket."""

    host: str = Field("127.0.0.1", description="Where browsers reach us.")
    port: Port = Field(8088, description="Its port.")
    origins: tuple[str, ...] = Field((), description="Further origins (`https://cti.example`) pages may come from.")
    session_hours: Seconds = Field(12.0, description="Hours a sign-in lasts.")
    grace_s: Seconds = Field(15.0, description="Seconds a browser may be away before its agent becomes not ready.")
    max_backlog: int = Field(256, ge=8, description="Messages kept for one slow browser before it gets a snapshot.")


class DatabaseSettings(Section):
    """Where everything is kept."""

    url: str = Field("sqlite:///offhook.db", description="`sqlite:///path` or `postgresql://user:password@host/name`.")


class PathSettings(Section):
    """Files beside the settings file; relative paths are relative to it."""

    queues: Path = Field(Path("queues.yaml"), description="Queues, DNIS names, dispositions, not-ready reasons.")
    agents: Path = Field(Path("agents.yaml"), description="Agents: name, phone, skills.")
    flows: Path = Field(Path("flows"), description="Folder of IVR flows.")
    prompts: Path = Field(Path("prompts"), description="Folder of rendered prompts, readable by Asterisk.")


class CelSettings(Section):
    """Asterisk's own record of calls, read to fill in what we missed while we were down."""

    csv: Path | None = Field(None, description="cel_custom's CSV file as our `cel_custom.conf` writes it.")
    url: str = Field("", description="Or a database with Asterisk's `cel` table.")


class CallerSettings(Section):
    """How numbers are read."""

    region: str = Field("US", min_length=2, max_length=2, description="Country of numbers written without one.")


class SpeechSettings(Section):
    """The programs that render prompts ahead of time, each as a command with its first arguments."""

    espeak: tuple[str, ...] = Field(("espeak-ng",), description="Text to speech.")
    sox: tuple[str, ...] = Field(("sox",), description="Sound conversion.")


class LogSettings(Section):
    """Logs: JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level written.")
    pretty: bool = Field(False, description="Coloured lines for a person instead of JSON.")


class DaemonSettings(Section):
    """The process."""

    socket: Path = Field(Path("offhook.sock"), description="Where `offhook tail` reaches the running daemon.")
    rooms: tuple[str, ...] = Field(
        ("customers", "voc", "acd", "screenpop", "ivr", "agent_console"), description="Rooms to open, in this order."
    )


class Settings(Section):
    """Everything the operator sets."""

    pbx: PbxSettings = PbxSettings()
    agi: AgiSettings = AgiSettings()
    console: ConsoleSettings = ConsoleSettings()
    database: DatabaseSettings = DatabaseSettings()
    paths: PathSettings = PathSettings()
    cel: CelSettings = CelSettings()
    caller: CallerSettings = CallerSettings()
    speech: SpeechSettings = SpeechSettings()
    log: LogSettings = LogSettings()
    daemon: DaemonSettings = DaemonSettings()
