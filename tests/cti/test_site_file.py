"""Queues, agents and numbers as the operator wrote them: every mistake of both files at once, each with its line."""

from pathlib import Path

import pytest

from cti.data_folder import find_data_folder
from cti.errors import ConfigError, Finding
from cti.site import Disposition, Site
from cti.site_file import doubts, load_site

QUEUES = """queues:
  sales: {name: Sales, skills: [sales], wrap_up_s: 30}
numbers:
  "1000": {name: Main line}
dispositions: {sold: Sold}
"""
AGENTS = """agents:
  ann: {name: Ann Archer, phone: PJSIP/201, skills: [sales]}
"""


def load(folder: Path, queues: str = QUEUES, agents: str = AGENTS) -> Site:
    """Both files, read."""
    (folder / "queues.yaml").write_text(queues, encoding="utf-8")
    (folder / "agents.yaml").write_text(agents, encoding="utf-8")
    return load_site(folder / "queues.yaml", folder / "agents.yaml")


def findings(folder: Path, queues: str = QUEUES, agents: str = AGENTS) -> list[tuple[str, str, int | None]]:
    """What is wrong with them: file, key, line."""
    with pytest.raises(ConfigError) as caught:
        load(folder, queues, agents)
    return [(Path(finding.file).name, finding.key, finding.line) for finding in caught.value.findings]


def test_the_files_that_come_with_offhook_are_a_site() -> None:
    """What `offhook init` writes can be used as it is, and every queue has somebody."""
    folder = find_data_folder("config", "queues.yaml")
    site = load_site(folder / "queues.yaml", folder / "agents.yaml")
    assert [queue.queue for queue in site.queues] == ["sales", "support", "billing"]
    assert doubts(site) == []
    assert site.dnis_name("1001") == "Spring catalogue"
    assert site.dnis_name("9999") == ""


def test_a_queue_has_its_own_dispositions_or_everybodys(tmp_path: Path) -> None:
    """The list at the end of the file stands in where a queue has none."""
    site = load(
        tmp_path,
        QUEUES.replace(
            "numbers:", "  support: {name: Support, skills: [support], dispositions: {done: Done}}\nnumbers:"
        ),
    )
    sales, support = site.queue("sales"), site.queue("support")
    assert sales is not None
    assert support is not None
    assert (sales.dispositions, support.dispositions) == (
        (Disposition("sold", "Sold"),),
        (Disposition("done", "Done"),),
    )
    assert site.queue("nope") is None


def test_a_queue_nobody_can_serve_is_worth_a_warning(tmp_path: Path) -> None:
    """One agent must have all of a queue's skills; two with half of them each don't count."""
    site = load(
        tmp_path,
        QUEUES.replace("[sales]", "[sales, lang.es]"),
        AGENTS + "  bob: {name: Bob, phone: PJSIP/202, skills: [lang.es]}\n",
    )
    assert [finding.key for finding in doubts(site)] == ["queues.sales"]


def test_every_mistake_of_both_files_at_once(tmp_path: Path) -> None:
    """Keys nobody knows, values out of range, bad phones, bad names, in both files, each with its line."""
    assert findings(
        tmp_path,
        "queues:\n  sales:\n    name: Sales\n    skills: []\n    ring_for_s: 0\n    wrapup: 3\n"
        "  'two words': {name: X, skills: [a]}\n"
        "numbers:\n  '1000':\n    name: ''\n    langauge: en\nreasons: [x]\n",
        "agents:\n  ann:\n    name: Ann\n    phone: 201\n"
        "  bob: {phone: 'PJSIP/2;rm', name: Bob, skills: [has space]}\n  cat:\n",
    ) == [
        ("queues.yaml", "queues.sales.skills", 4),
        ("queues.yaml", "queues.sales.ring_for_s", 5),
        ("queues.yaml", "queues.sales.wrapup", 6),
        ("queues.yaml", "queues.two words", 7),
        ("queues.yaml", "numbers.1000.name", 10),
        ("queues.yaml", "numbers.1000.langauge", 11),
        ("queues.yaml", "reasons", 12),
        ("agents.yaml", "agents.ann.phone", 4),
        ("agents.yaml", "agents.bob.phone", 5),
        ("agents.yaml", "agents.bob.skills.0", 5),
        ("agents.yaml", "agents.cat", 6),
    ]  # fmt: skip


@pytest.mark.parametrize("phone", ["PJSIP/201", "SIP/201", "Local/201@from-queue/n", "PJSIP/ann@edge", "IAX2/x:5"])
def test_phones_asterisk_can_dial(tmp_path: Path, phone: str) -> None:
    """Technology, slash, the rest."""
    assert load(tmp_path, agents=AGENTS.replace("PJSIP/201", phone)).agents[0].phone == phone


@pytest.mark.parametrize(
    "phone",
    ["201", "PJSIP/", "/201", "PJSIP/201&PJSIP/202", "PJSIP/201,30,g", "PJSIP/${X}", "PJSIP/2 0", "PJSIP/201\\n"],
)
def test_phones_that_would_mean_something_else(tmp_path: Path, phone: str) -> None:
    """Several phones, options, variables, lines: refused before Asterisk sees them."""
    assert findings(tmp_path, agents=AGENTS.replace("PJSIP/201", f'"{phone}"')) == [
        ("agents.yaml", "agents.ann.phone", 2)
    ]


@pytest.mark.parametrize("name", ["a-b", "ann archer", "änn", "x" * 41, "''"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    """A hyphen would break offers' names; letters, digits, dot and underscore are what there is."""
    ((file, _, line),) = findings(tmp_path, agents=AGENTS.replace("ann:", f"{name}:"))
    assert (file, line) == ("agents.yaml", 2)


def test_an_agent_may_be_called_by_a_number(tmp_path: Path) -> None:
    """YAML takes 201 for a number; it is a name all the same, and its mistakes have their line."""
    assert load(tmp_path, agents=AGENTS.replace("ann:", "201:")).agents[0].agent == "201"
    bad = AGENTS.replace("ann:", "201:").replace("PJSIP/201", "201")
    assert findings(tmp_path, agents="\n" + bad) == [("agents.yaml", "agents.201.phone", 3)]


def test_a_key_twice_is_a_mistake(tmp_path: Path) -> None:
    """Plain YAML would take the last one silently."""
    twice = AGENTS + "  ann: {name: Another Ann, phone: PJSIP/202}\n"
    assert findings(tmp_path, agents=twice) == [("agents.yaml", "(the file)", 3)]


def test_a_wrap_up_needs_something_to_choose(tmp_path: Path) -> None:
    """The disposition is mandatory, so there must be one; without wrap-up there need not."""
    bare = QUEUES.replace("dispositions: {sold: Sold}\n", "")
    assert findings(tmp_path, bare) == [("queues.yaml", "queues.sales", 2)]
    assert load(tmp_path, bare.replace("wrap_up_s: 30", "wrap_up_s: 0")).queues[0].wrap_up_s == 0


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing, empty, a list, not YAML: a finding for each file, of both files."""
    for queues, agents in (("", "- ann\n"), ("[", "\x00"), ("- 1", "just words\n")):
        found = findings(tmp_path, queues, agents)
        assert {file for file, _, _ in found} == {"queues.yaml", "agents.yaml"}
        assert all(key for _, key, _ in found)
    with pytest.raises(ConfigError) as caught:
        load_site(tmp_path / "no.yaml", tmp_path / "none.yaml")
    assert ["offhook init" in finding.mend for finding in caught.value.findings] == [True, True]


def test_a_finding_reads_as_a_sentence_with_its_place() -> None:
    """File, line, key, why, mend."""
    assert str(Finding("a.yaml", "x.y", "is wrong", "mend it", 7)) == "a.yaml:7: x.y: is wrong Mend: mend it"
    assert str(Finding("a.yaml", "x.y", "is wrong")) == "a.yaml: x.y: is wrong"


def test_phones_two_share_and_skills_nobody_asks_for_are_doubted(tmp_path: Path) -> None:
    """Both are allowed and both are usually mistakes: one rings at the wrong desk, the other never at all."""
    queues, agents = tmp_path / "queues.yaml", tmp_path / "agents.yaml"
    queues.write_text("queues: {sales: {name: Sales, skills: [sales], wrap_up_s: 0}}")
    agents.write_text(
        "agents:\n"
        "  ann: {name: Ann, phone: PJSIP/201, skills: [sales, lang.en]}\n"
        "  bob: {name: Bob, phone: PJSIP/201, skills: [saels]}\n"
    )
    found = {finding.key: finding.why for finding in doubts(load_site(queues, agents))}
    assert found == {
        "agents.bob.phone": "PJSIP/201 is the phone of ann and bob",
        "agents.bob.skills": "no queue asks for 'saels'",
    }
