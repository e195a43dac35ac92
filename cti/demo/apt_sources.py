"""Where this machine gets its Debian or Ubuntu packages, read from apt's own configuration.

Understands one-line `.list` files and deb822 `.sources` files. It names no host of its own: a machine with a mirror, a
frozen copy or a proxy of its own uses just that.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cti.errors import Unavailable

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


@dataclass(frozen=True, slots=True)
class Origin:
    """One place packages come from. `signed_by` is a keyring's path or an armoured key, "" for apt's own trusted keys."""

    uri: str
    suite: str
    components: str
    signed_by: str = ""

    def sources_text(self) -> str:
        """The text of a deb822 `.sources` file holding just this place and its key."""
        key = "\n ".join(self.signed_by.splitlines())
        signed = f"Signed-By: {key}\n" if key else ""
        return f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\nComponents: {self.components}\n{signed}"


def find_origin(etc: Path = Path("/etc")) -> Origin:
    """Where Asterisk can be had: the machine's own mirror, suite `sid` on Debian, its own release on Ubuntu.

    Raises Unavailable on other systems and where apt has no usable source.
    """
    release = _os_release(etc / "os-release")
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if "ubuntu" in family:
        codename = release.get("UBUNTU_CODENAME") or release.get("VERSION_CODENAME", "")
        wanted, components = codename, "main universe"
    elif "debian" in family:
        codename = release.get("VERSION_CODENAME", "sid")
        wanted, components = "sid", "main"
    else:
        raise Unavailable(
            "Asterisk", "this is neither Debian nor Ubuntu; install Asterisk 18 or later so that it is on PATH"
        )
    usable = [origin for origin in _origins(etc / "apt") if origin.uri.startswith(("http", "mirror", "file:", "copy:"))]
    # Security and third-party archives share the host often enough, but only the release itself has the suite we want.
    released = [origin for origin in usable if origin.suite in (codename, "stable", "testing", "unstable", "sid")]
    if not released:
        raise Unavailable(
            "Asterisk", f"apt's configuration in {etc / 'apt'} names no mirror of {codename or 'this release'}"
        )
    return replace(released[0], suite=wanted, components=components)


def _origins(apt: Path) -> Iterator[Origin]:
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".list":
            yield from _one_line_origins(text)
        elif file.suffix == ".sources":
            yield from _deb822_origins(text)


def _one_line_origins(text: str) -> Iterator[Origin]:
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match:
            signed = re.search(r"signed-by=(\S+)", match["options"] or "")
            yield Origin(match["uri"], match["suite"], match["components"].strip(), signed[1] if signed else "")


def _deb822_origins(text: str) -> Iterator[Origin]:
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Origin(uri, suite, fields.get("components", ""), fields.get("signed-by", ""))


def _fields(stanza: str) -> Mapping[str, str]:
    """The fields of a deb822 stanza by lower-case name; continuation lines are joined by newlines."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _os_release(file: Path) -> Mapping[str, str]:
    if not file.is_file():
        return {}
    pairs = (line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}
