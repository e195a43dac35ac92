"""`offhook users`: who may sign in to the console. A removed person, or a new password, ends every sign-in within seconds."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from agent_console.login import hash_password
from agent_console.roles import Role
from agent_console.store import Account, Accounts, User
from cti.errors import CtiError, Refused
from cti.ids import AGENT_NAME, AgentId
from cti.settings_file import load_settings
from cti.store.engine import open_store
from cti.store.migrate import migrate

app = typer.Typer(help="Who may sign in to the console.", no_args_is_help=True)

USER_NAME = re.compile(r"^[^\s\x00-\x1f\x7f]{1,64}$")
MIN_PASSWORD = 8

Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; else the usual place.", show_default=False)
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]
Reply = TypeVar("Reply")


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What this person is.")] = Role.AGENT,
    agent: Annotated[str, typer.Option(help="The agent (of agents.yaml) this person is on the floor.")] = "",
    password_stdin: FromStdin = False,
    config: Config = None,
) -> None:
    """Let a person sign in."""
    if not USER_NAME.match(name):
        _fail("A name is 1 to 64 characters without spaces.")
    if agent and not AGENT_NAME.match(agent):
        _fail("An agent's name is 1 to 40 letters, digits, dots and underscores.")
    if role is Role.AGENT and not agent:
        _fail("An agent needs --agent NAME, the name in agents.yaml.")
    user = User(name, role, AgentId(agent) if agent else None)
    account = Account(user, hash_password(_password(password_stdin)))

    async def work(accounts: Accounts) -> None:
        if await accounts.account(name) is not None:
            raise Refused(
                "name-taken", f"{name} is there already; `offhook users password {name}` sets a new password."
            )
        await accounts.add(account)

    _run(config, work)
    typer.echo(f"{name} may sign in as {role.value}.")


@app.command("list")
def list_users(config: Config = None) -> None:
    """Show who may sign in."""
    table = Table("name", "role", "agent")
    for user in _run(config, lambda accounts: accounts.users()):
        table.add_row(user.name, user.role.value, user.agent or "")
    Console().print(table)


@app.command()
def remove(name: Name, config: Config = None) -> None:
    """Let a person sign in no more."""

    async def work(accounts: Accounts) -> None:
        await _must_exist(accounts, name)
        await accounts.remove(name)

    _run(config, work)
    typer.echo(f"{name} may sign in no more.")


@app.command()
def password(name: Name, password_stdin: FromStdin = False, config: Config = None) -> None:
    """Set a new password."""
    password_hash = hash_password(_password(password_stdin))

    async def work(accounts: Accounts) -> None:
        await _must_exist(accounts, name)
        await accounts.set_password(name, password_hash)

    _run(config, work)
    typer.echo(f"{name} has a new password; earlier sign-ins are over.")


@app.command("import")
def import_users(
    file: Annotated[Path, typer.Argument(help="Lines of NAME ROLE AGENT PASSWORD; AGENT is - for nobody.")],
    config: Config = None,
) -> None:
    """Let many people sign in at once; those who are there already stay as they are."""
    try:
        accounts_read = [_account(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as exc:
        _fail(f"{file}: {exc}")

    async def work(accounts: Accounts) -> int:
        known = {user.name for user in await accounts.users()}
        fresh = [(user, text) for user, text in accounts_read if user.name not in known]
        await accounts.add(*[Account(user, hash_password(text)) for user, text in fresh])
        return len(fresh)

    typer.echo(f"{_run(config, work)} people added.")


def _account(line: str) -> tuple[User, str]:
    words = line.split()
    if len(words) != 4:
        raise ValueError(f"a line needs NAME ROLE AGENT PASSWORD, this one has {len(words)} words")
    name, role, agent, secret = words
    if not USER_NAME.match(name) or (agent != "-" and not AGENT_NAME.match(agent)):
        raise ValueError(f"{name} or {agent} is not a name")
    return User(name, Role(role), None if agent == "-" else AgentId(agent)), secret


def _password(from_stdin: bool) -> str:
    if from_stdin:
        text = sys.stdin.readline().rstrip("\r\n")
    else:
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(text) < MIN_PASSWORD:
        _fail(f"A password has at least {MIN_PASSWORD} characters.")
    return text


def _run(config: Path | None, work: Callable[[Accounts], Awaitable[Reply]]) -> Reply:
    async def on_store(url: str) -> Reply:
        async with open_store(url) as store:
            return await work(Accounts(store))

    try:
        url = load_settings(config).database.url
        migrate(url)
        return asyncio.run(on_store(url))
    except CtiError as exc:
        _fail(str(exc))


async def _must_exist(accounts: Accounts, name: str) -> None:
    if await accounts.account(name) is None:
        raise Refused("no-such-user", f"There is nobody called {name}; see `offhook users list`.")


def _fail(why: str) -> NoReturn:
    typer.secho(why, err=True, fg="red")
    raise typer.Exit(1)
