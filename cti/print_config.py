"""What a PBX needs from us, rendered for the operator's own names and ports.

The templates are the data folder `asterisk/` (a checkout) or `share/offhook/asterisk` (an installed wheel). Their
placeholders are `%%{name}`, because the dialplan has `${...}` for itself.
"""

import ipaddress
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from string import Template

from cti.errors import ConfigError, Finding
from cti.settings import Settings

_MARK = "extensions-offhook.conf"
_UNSET = "CHANGE-ME"


class ConfTemplate(Template):
    """A configuration file of Asterisk's with `%%{name}` where our values go."""

    delimiter = "%%"


def find_folder() -> Path:
    """The folder of templates. Raises ConfigError when the installation has lost it."""
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    installed = (Path(sysconfig.get_path("data", scheme)) for scheme in schemes)
    # pyst2 is installed as a package called `asterisk` too, so a folder of that name alone proves nothing.
    for folder in (Path(__file__).parents[1] / "asterisk", *(data / "share/offhook/asterisk" for data in installed)):
        if (folder / _MARK).is_file():
            return folder
    raise ConfigError([Finding("asterisk/", _MARK, "the Asterisk templates are missing", "install offhook again")])


def fill(file: Path, values: Mapping[str, str]) -> str:
    """The text of one template. Raises KeyError for a placeholder nobody gave a value."""
    return ConfTemplate(file.read_text(encoding="utf-8")).substitute(values)


def render(settings: Settings) -> dict[str, str]:
    """Every file the operator's Asterisk needs: file name to text."""
    known = values(settings)
    return {file.name: fill(file, known) for file in sorted(find_folder().glob("*")) if file.is_file()}


def values(settings: Settings) -> dict[str, str]:
    """What the templates' placeholders stand for under these settings."""
    host = "127.0.0.1" if settings.agi.host in ("0.0.0.0", "::", "localhost") else settings.agi.host
    token = settings.agi.token.get_secret_value() or _UNSET
    return {
        "agi_url": f"agi://{_bracketed(host)}:{settings.agi.port}/{token}",
        "pick_context": settings.pbx.pick_context,
        "manager_user": settings.pbx.user,
        "manager_secret": settings.pbx.secret.get_secret_value() or _UNSET,
        "manager_permit": _permit(host),
        "failsafe_members": "; member => PJSIP/201",
    }


def _permit(host: str) -> str:
    """Who may log in as our manager user: the address the daemon itself listens at, for that is where it calls from."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{host}/255.255.255.255"
    return f"{address}/128" if address.version == 6 else f"{address}/255.255.255.255"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
