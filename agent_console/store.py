"""The people who may sign in, and their sign-ins. Of a session token only its SHA-256 is kept, of a password only argon2's
hash: whoever reads this table can sign in as nobody.
"""

from dataclasses import dataclass

from sqlalchemy import Column, Float, Row, String, Table, bindparam, delete, insert, select, update

from agent_console.roles import Role
from cti.ids import AgentId
from cti.store import Store, Write, metadata

USER = Table(
    "agent_console_user",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("agent", String(40), nullable=True),
)

SESSION = Table(
    "agent_console_session",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    Column("opened_at", Float, nullable=False),
    Column("until", Float, nullable=False, index=True),
)

_USER_BY_NAME = select(USER).where(USER.c.name == bindparam("name"))
_EVERY_USER = select(USER).order_by(USER.c.name)
_SIGNED_IN = (
    select(USER, SESSION.c.until)
    .join(SESSION, SESSION.c.name == USER.c.name)
    .where(SESSION.c.token_sha256 == bindparam("token_sha256"))
)
_AGENTS_SIGNED_IN = (
    select(USER.c.agent, SESSION.c.token_sha256)
    .join(SESSION, SESSION.c.name == USER.c.name)
    .where(SESSION.c.until > bindparam("now"), USER.c.agent.is_not(None))
)
_ADD_USER = insert(USER)
_REMOVE_USER = delete(USER).where(USER.c.name == bindparam("of_name"))
_SET_PASSWORD = update(USER).where(USER.c.name == bindparam("of_name")).values(password_hash=bindparam("new_hash"))
_OPEN_SESSION = insert(SESSION)
_END_SESSION = delete(SESSION).where(SESSION.c.token_sha256 == bindparam("of_token"))
_END_SESSIONS_OF = delete(SESSION).where(SESSION.c.name == bindparam("of_name"))
_END_OLD_SESSIONS = delete(SESSION).where(SESSION.c.until < bindparam("now"))


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. `agent` is the agent they are on the floor, None when they take no contacts."""

    name: str
    role: Role
    agent: AgentId | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A user with the hash of the password."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that is in force until `until` (Unix seconds)."""

    user: User
    token_sha256: str
    until: float


class Accounts:
    """The two tables, as the console and `offhook users` use them. Every method raises Unavailable without a database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def account(self, name: str) -> Account | None:
        """The account of this name."""
        rows = await self._store.point(_USER_BY_NAME, {"name": name})
        return Account(_user(rows[0]), rows[0].password_hash) if rows else None

    async def users(self) -> list[User]:
        """Everybody who may sign in, by name."""
        return [_user(row) for row in await self._store.read(_EVERY_USER)]

    async def add(self, *accounts: Account) -> None:
        """Let these people sign in. Names must be free."""
        if accounts:
            await self._store.write((_ADD_USER, [_row(account) for account in accounts]))

    async def remove(self, name: str) -> None:
        """Let this person sign in no more, and end every sign-in at once."""
        await self._store.write((_END_SESSIONS_OF, {"of_name": name}), (_REMOVE_USER, {"of_name": name}))

    async def set_password(self, name: str, password_hash: str) -> None:
        """Another password; every sign-in made with the old one ends."""
        await self._store.write(
            (_SET_PASSWORD, {"of_name": name, "new_hash": password_hash}), (_END_SESSIONS_OF, {"of_name": name})
        )

    async def signed_in(self, token_sha256: str, now: float) -> SignedIn | None:
        """Whose sign-in this is, or None when there is none in force."""
        rows = await self._store.point(_SIGNED_IN, {"token_sha256": token_sha256})
        if not rows or rows[0].until <= now:
            return None
        return SignedIn(_user(rows[0]), token_sha256, rows[0].until)

    async def agents_signed_in(self, now: float) -> list[tuple[AgentId, str]]:
        """The agents with a sign-in in force, and the SHA-256 of its token."""
        rows = await self._store.read(_AGENTS_SIGNED_IN, {"now": now})
        return [(AgentId(row.agent), row.token_sha256) for row in rows]

    async def open_session(self, name: str, token_sha256: str, now: float, until: float, instead_of: str = "") -> None:
        """Keep this sign-in; the one it comes instead of, and those long over, are forgotten."""
        opened = {"token_sha256": token_sha256, "name": name, "opened_at": now, "until": until}
        writes: list[Write] = [(_END_OLD_SESSIONS, {"now": now}), (_OPEN_SESSION, opened)]
        if instead_of:
            writes.insert(0, (_END_SESSION, {"of_token": instead_of}))
        await self._store.write(*writes)

    async def end_session(self, token_sha256: str) -> None:
        """Revoke this sign-in."""
        await self._store.write((_END_SESSION, {"of_token": token_sha256}))


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(row.name, Role(row.role), AgentId(row.agent) if row.agent else None)


def _row(account: Account) -> dict[str, str | None]:
    user = account.user
    return {"name": user.name, "password_hash": account.password_hash, "role": user.role.value, "agent": user.agent}
