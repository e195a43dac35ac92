"""The house rules that no tool holds: sizes, data folders, where imports stand, that everything has its words.

`lint-imports` holds the floors themselves, ruff and mypy the rest.
"""

import ast
import dataclasses
import importlib.util
import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from cti.settings import Section, Settings
from cti.wire import FACT_KINDS, REQUEST_KINDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cti", "ivr", "acd", "customers", "screenpop", "voc", "agent_console")
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
GENERATED = {"agent_console/web/src/api/schema.d.ts"}
MACHINES_OWN = (
    re.compile(r"/work/(main|shared|\.library)"),
    re.compile(r"/root/"),
    re.compile(r"/home/(?!you\b|offhook\b)[a-z]\w*/"),
    re.compile(r"[\w.-]+/(?:artifactory|nexus|repository)/(?:api/)?(?:npm|pypi|deb)"),
    re.compile(r"https?://[\w.-]*(?:mirror|proxy|registry|artifactory|nexus)[\w.-]*\.(?!invalid\b)[\w.:-]+/"),
    re.compile(r"index-url\s*="),
)
"""Paths of one machine and addresses of one network's registries."""

PUBLIC = ("https://registry.npmjs.org/",)


@cache
def tracked() -> tuple[str, ...]:
    """Every file in the repository, by its path in it."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "-z"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return tuple(sorted({name for name in said.split("\0") if name and (ROOT / name).is_file()}))


def ours(*endings: str) -> Iterator[tuple[str, str]]:
    """Path and text of our sources."""
    for name in tracked():
        if name.endswith(endings) and name not in GENERATED:
            yield name, (ROOT / name).read_text(encoding="utf-8")


@cache
def trees() -> dict[str, ast.Module]:
    """Every Python file, parsed."""
    return {name: ast.parse(text) for name, text in ours(".py")}


@cache
def functions(name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in a file."""
    return [node for node in ast.walk(trees()[name]) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_no_file_is_two_things() -> None:
    """Past 400 lines a file is two things: Python, TypeScript, Svelte, tests included."""
    long = {name: text.count("\n") for name, text in ours(".py", ".ts", ".svelte") if text.count("\n") > LONGEST_FILE}
    assert long == {}


def test_no_function_is_two_things() -> None:
    """Past 40 lines a function is two things."""
    long = {
        f"{name}:{node.lineno} {node.name}": length
        for name in trees()
        for node in functions(name)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_data_folders_are_no_packages() -> None:
    """`asterisk` is the import name of pyst2; `config` is everybody's. Neither has any Python."""
    assert [name for name in tracked() if re.match(r"(asterisk|config)/.*\.py$", name)] == []


def test_imports_stand_at_the_top() -> None:
    """No import inside a function, none of our own under TYPE_CHECKING: both mean a wrong floor."""
    wrong = []
    for name, tree in trees().items():
        inside = [
            part
            for node in functions(name)
            for below in node.body
            for part in _outside_functions(below)
            if isinstance(part, (ast.Import, ast.ImportFrom))
        ]
        checking = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ]
        wrong += [f"{name}:{part.lineno} inside a function" for part in inside]
        wrong += [f"{name}:{node.lineno} under TYPE_CHECKING" for node in checking if _imports_ours(node)]
    assert wrong == []


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is below it, functions of their own left out."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    yield node
    for below in ast.iter_child_nodes(node):
        yield from _outside_functions(below)


def _imports_ours(node: ast.AST) -> bool:
    modules = [part.module or "" for part in ast.walk(node) if isinstance(part, ast.ImportFrom)]
    modules += [alias.name for part in ast.walk(node) if isinstance(part, ast.Import) for alias in part.names]
    return any(module.split(".")[0] in PACKAGES for module in modules)


def test_no_word_for_everything_and_nothing() -> None:
    """No module is called utils, helpers, common, base or manager."""
    nothing = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}
    assert [name for name in tracked() if Path(name).suffix in (".py", ".ts") and Path(name).stem in nothing] == []


def test_every_module_and_every_public_name_says_what_it_is() -> None:
    """Modules, classes, functions and methods that others may use have a docstring."""
    silent = []
    for name, tree in trees().items():
        if not name.startswith(PACKAGES):
            continue
        is_migration = "/migrations/versions/" in name
        if not ast.get_docstring(tree):
            silent.append(name)
        silent += (
            []
            if is_migration
            else [f"{name}:{node.lineno} {node.name}" for node in _public(tree) if not ast.get_docstring(node)]
        )
    assert silent == []


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield node
            yield from _public(node)
        elif not _is_seen_above(node):
            yield node


def _is_seen_above(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """An override is documented where it is declared."""
    return any(
        "override" in ast.unparse(decorator) or "setter" in ast.unparse(decorator) for decorator in node.decorator_list
    )


def test_one_async_file_a_room() -> None:
    """Deciders are pure and service.py is what awaits; who else awaits in a room is on this list, with its reason."""
    others = {
        "agent_console": None,  # above the rooms: a server is async throughout
        "customers": {
            "service.py",
            "importer.py",
            "companions.py",
            "commands.py",
            "store.py",
        },  # the import is a command
        "voc": {"service.py", "catchup.py", "cel_source.py", "commands.py", "store.py"},  # reading Asterisk's record
    }
    for room in PACKAGES[1:]:
        allowed = others.get(room, {"service.py", "store.py", "lookup.py"})
        if allowed is None:
            continue
        found = {
            Path(name).name
            for name, tree in trees().items()
            if name.startswith(f"{room}/")
            and any(isinstance(node, (ast.AsyncFunctionDef, ast.Await)) for node in ast.walk(tree))
        }
        assert found <= allowed, room


@cache
def reference() -> ModuleType:
    """scripts/reference.py, which is no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pages() -> dict[str, str]:
    """The pages as the code has them."""
    rendered: dict[str, str] = reference().pages()
    return rendered


@pytest.mark.parametrize("page", ["facts.md", "requests.md", "settings.md", "commands.md"])
def test_the_reference_is_what_the_code_says(page: str) -> None:
    """The committed page is what scripts/reference.py renders: after a change of words, run it."""
    assert (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8") == pages()[page]


def test_every_fact_and_request_is_documented() -> None:
    """Each has a docstring of its own (not the one dataclasses write) and its place in the reference."""
    for kinds, page in ((FACT_KINDS, "facts.md"), (REQUEST_KINDS, "requests.md")):
        text = pages()[page]
        for name, kind in kinds.items():
            assert kind.__doc__, name
            assert not kind.__doc__.startswith(f"{name}("), f"{name} has no docstring"
            assert f"### {name}\n" in text
            assert all(
                f"| `{field.name}` |" in text
                for field in dataclasses.fields(kind)
                if field.name not in ("at", "inferred")
            )


def test_every_setting_is_documented() -> None:
    """Each section and key is in the reference, with a description."""
    text = pages()["settings.md"]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert inspect.isclass(section)
        assert issubclass(section, Section)
        assert f"## [{name}]\n" in text
        assert all(f"| `{key}` | " in text for key in section.model_fields)


def test_every_command_is_documented() -> None:
    """What `offhook --help` offers, down to the last word, is in the reference."""
    text = pages()["commands.md"]
    for command in (
        "run", "demo", "init", "check", "tail", "pbx print-config", "customers import", "call show", "call audit", "users add",
    ):  # fmt: skip
        assert f"## offhook {command}\n" in text


def test_nothing_of_one_machine_is_in_the_repository() -> None:
    """No path of somebody's machine, no registry of somebody's network: a clone works anywhere."""
    found = []
    for name in tracked():
        if name == "tests/test_floors.py" or Path(name).suffix in (".png", ".svg", ".ico", ".woff2", ".wav"):
            continue
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for public in PUBLIC:
                line = line.replace(public, "")
            found += [f"{name}:{number}: {line.strip()[:120]}" for pattern in MACHINES_OWN if pattern.search(line)]
    assert found == []


def test_every_entry_point_can_be_loaded() -> None:
    """Rooms, commands, checks and tables that pyproject.toml names are there, and each room's name is its package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group, points in project["entry-points"].items():
        for name, target in points.items():
            module, _, attribute = target.partition(":")
            loaded = importlib.import_module(module)
            assert not attribute or hasattr(loaded, attribute), f"{group}: {name}"
            if group != "offhook.commands":
                assert module.split(".")[0] == name


def test_every_link_between_pages_leads_somewhere() -> None:
    """A page, a file or a heading of a page: no reader is sent to nothing."""
    broken = []
    for name, text in ours(".md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, heading = target.partition("#")
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.exists() or (heading and heading not in _headings(file)):
                broken.append(f"{name}: {target}")
    assert broken == []


def _headings(file: Path) -> set[str]:
    """The anchors GitHub makes of a page's headings."""
    lines = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}
