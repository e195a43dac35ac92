"""Signing in: argon2 passwords, opaque tokens that can be revoked, and a brake on guessing.

A wrong name takes as long as a wrong password, so timing tells nothing. Hashing happens off the loop, one at a time: it can
use a processor up, and calls go first.
"""

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent_console.store import Account, Accounts, SignedIn, User
from cti.clock import Clock
from cti.errors import Refused
from cti.ids import new_token

COOKIE = "offhook_session"

# OWASP's password storage cheat sheet, argon2id: 19 MiB, 2 rounds, 1 lane. More lanes would take the loop's processor too.
HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

MAX_WAITING = 200  # sign-ins waiting for their hash; one more is told to come again


class TooManyTries(Refused):
    """Guessing is braked; `wait_s` seconds from now another try is allowed."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__("too-many-tries", f"Too many tries; wait {wait_s:.0f} s.")


@dataclass(slots=True)
class Throttle:
    """At most `limit` tries in `per_s` seconds for each key. Keeps at most `max_keys` keys, the oldest go first."""

    limit: int
    per_s: float
    max_keys: int = 10_000
    _tries: dict[str, deque[float]] = field(default_factory=dict)

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until a try is allowed; 0.0 means now."""
        tries = self._tries.get(key)
        if tries is None:
            return 0.0
        while tries and tries[0] <= now - self.per_s:
            tries.popleft()
        return tries[0] + self.per_s - now if len(tries) >= self.limit else 0.0

    def take(self, key: str, now: float) -> None:
        """Count one try, before it is known how it ends: tries at the same time all count."""
        if key not in self._tries and len(self._tries) >= self.max_keys:
            del self._tries[next(iter(self._tries))]
        self._tries.setdefault(key, deque(maxlen=self.limit)).append(now)

    def forget(self, key: str) -> None:
        """The try was a good one: nothing is held against this key."""
        self._tries.pop(key, None)

    def give_back(self, key: str) -> None:
        """The last try was a good one; earlier ones stay counted."""
        tries = self._tries.get(key)
        if tries:
            tries.pop()


def hash_of_token(token: str) -> str:
    """What is kept of a session token."""
    return hashlib.sha256(token.encode()).hexdigest()


def hash_password(password: str, hasher: PasswordHasher = HASHER) -> str:
    """What is kept of a password. Takes tens of milliseconds of processor time."""
    return hasher.hash(password)


class Login:
    """Signs people in and out."""

    def __init__(self, accounts: Accounts, clock: Clock, session_s: float, hasher: PasswordHasher = HASHER) -> None:
        self._accounts = accounts
        self._clock = clock
        self._session_s = session_s
        self._hasher = hasher
        self._one_at_a_time = asyncio.Semaphore(1)
        self._waiting = 0
        self._nobodys_hash = ""
        self._by_name_and_address = Throttle(5, 60.0)
        self._by_name = Throttle(50, 300.0)
        self._by_address = Throttle(300, 300.0)

    async def sign_in(self, name: str, password: str, address: str, old_token: str = "") -> tuple[str, User]:
        """A fresh token and who it is for. Raises Refused wrong-name-or-password, too-many-tries, busy; Unavailable."""
        brakes = ((self._by_name_and_address, f"{name}\0{address}"), (self._by_name, name), (self._by_address, address))
        now = self._clock.now()
        wait_s = max(brake.wait_s(key, now) for brake, key in brakes)
        if wait_s > 0:
            raise TooManyTries(wait_s)
        for brake, key in brakes:
            brake.take(key, now)
        account = await self._accounts.account(name)
        if not await self._is_right(account, password):
            raise Refused("wrong-name-or-password", "Name or password is wrong.")
        assert account is not None
        self._by_name_and_address.forget(f"{name}\0{address}")
        self._by_name.give_back(name)
        self._by_address.give_back(address)
        return await self._open(account.user, old_token), account.user

    async def who(self, token: str) -> SignedIn | None:
        """Whose token this is, or None."""
        return await self._accounts.signed_in(hash_of_token(token), self._clock.now()) if token else None

    async def still(self, signed_in: SignedIn) -> bool:
        """True while this sign-in is in force and its user is what they were."""
        found = await self._accounts.signed_in(signed_in.token_sha256, self._clock.now())
        return found is not None and found.user == signed_in.user

    async def sign_out(self, token: str) -> None:
        """Revoke this token; no error when it was none."""
        if token:
            await self._accounts.end_session(hash_of_token(token))

    async def _open(self, user: User, old_token: str) -> str:
        token, now = new_token(), self._clock.now()
        instead_of = hash_of_token(old_token) if old_token else ""
        await self._accounts.open_session(user.name, hash_of_token(token), now, now + self._session_s, instead_of)
        return token

    async def _is_right(self, account: Account | None, password: str) -> bool:
        if self._waiting >= MAX_WAITING:
            raise Refused("busy", "Too many people are signing in at this moment; try again.")
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await asyncio.to_thread(self._verify, account, password)
        finally:
            self._waiting -= 1

    def _verify(self, account: Account | None, password: str) -> bool:
        if account is None and not self._nobodys_hash:
            self._nobodys_hash = self._hasher.hash(new_token())
        known = account.password_hash if account is not None else self._nobodys_hash
        try:
            return self._hasher.verify(known, password) and account is not None
        except (VerificationError, InvalidHashError):
            return False
