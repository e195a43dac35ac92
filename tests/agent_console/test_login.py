"""Signing in: what is kept, what is revoked, what is braked."""

from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from agent_console.login import Login, Throttle, TooManyTries, hash_of_token, hash_password
from agent_console.roles import Role
from agent_console.store import SESSION, USER, Account, Accounts, User
from cti.errors import Refused
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from cti.testing import HandClock
from tests.agent_console.floor import ANN

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CountingHasher(PasswordHasher):
    """argon2, counting how often somebody paid for a verification."""

    verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        """Verify, counted."""
        self.verified += 1
        return super().verify(hash, password)


@pytest.fixture
def migrated_url(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest_asyncio.fixture
async def store(migrated_url: str) -> AsyncIterator[Store]:
    async with open_store(migrated_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def accounts(store: Store) -> Accounts:
    made = Accounts(store)
    await made.add(Account(User("ann", Role.AGENT, ANN), hash_password("right horse", QUICK)))
    return made


@pytest.mark.asyncio
async def test_only_hashes_are_kept(store: Store, accounts: Accounts) -> None:
    """Neither the password nor the token is anywhere in the tables."""
    token, user = await Login(accounts, HandClock(), 3600, QUICK).sign_in("ann", "right horse", "1.2.3.4")
    rows = [*await store.read(select(USER)), *await store.read(select(SESSION))]
    assert user == User("ann", Role.AGENT, ANN)
    assert hash_of_token(token) in str(rows)
    assert token not in str(rows)
    assert "right horse" not in str(rows)


@pytest.mark.asyncio
async def test_a_session_ends_by_time_by_sign_out_and_with_its_user(accounts: Accounts) -> None:
    """A token opens nothing once its hours are over, it is revoked, the password is new, or the person is removed."""
    clock = HandClock()
    login = Login(accounts, clock, 3600, QUICK)

    async def fresh() -> str:
        token, _ = await login.sign_in("ann", "right horse", "1.2.3.4")
        assert await login.who(token) is not None
        return token

    token = await fresh()
    await login.sign_out(token)
    assert await login.who(token) is None
    token = await fresh()
    clock.advance(3600)
    assert await login.who(token) is None
    token = await fresh()
    await accounts.set_password("ann", hash_password("right horse", QUICK))
    assert await login.who(token) is None
    token = await fresh()
    await accounts.remove("ann")
    assert await login.who(token) is None
    assert await login.who("") is None


@pytest.mark.asyncio
async def test_sign_in_rotates(accounts: Accounts) -> None:
    """Signing in again in the same browser ends the old session; a planted token never becomes a session."""
    login = Login(accounts, HandClock(), 3600, QUICK)
    old, _ = await login.sign_in("ann", "right horse", "1.2.3.4", old_token="planted")
    new, _ = await login.sign_in("ann", "right horse", "1.2.3.4", old_token=old)
    assert await login.who("planted") is None
    assert await login.who(old) is None
    assert await login.who(new) is not None


@pytest.mark.asyncio
async def test_an_unknown_name_costs_what_a_wrong_password_costs(accounts: Accounts) -> None:
    """Both are refused with the same words after one verification each: neither answer nor timing tells them apart."""
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    login = Login(accounts, HandClock(), 3600, hasher)
    said = []
    for name in ("ann", "nobody"):
        with pytest.raises(Refused) as refused:
            await login.sign_in(name, "wrong", "1.2.3.4")
        said.append((refused.value.code, refused.value.why))
    assert said[0] == said[1]
    assert hasher.verified == 2


@pytest.mark.asyncio
async def test_guessing_is_braked_per_name_and_address(accounts: Accounts) -> None:
    """The sixth wrong password in a minute waits, also for the right one; from elsewhere the right one still works."""
    clock = HandClock()
    login = Login(accounts, clock, 3600, QUICK)
    for _ in range(5):
        with pytest.raises(Refused):
            await login.sign_in("ann", "wrong", "1.2.3.4")
    with pytest.raises(TooManyTries) as braked:
        await login.sign_in("ann", "right horse", "1.2.3.4")
    await login.sign_in("ann", "right horse", "5.6.7.8")
    clock.advance(braked.value.wait_s)
    await login.sign_in("ann", "right horse", "1.2.3.4")


@given(
    limit=st.integers(1, 5),
    pauses=st.lists(st.floats(0, 30), min_size=1, max_size=40),
)
def test_no_window_holds_more_tries_than_the_limit(limit: int, pauses: list[float]) -> None:
    """However tries are spread, no `per_s` seconds hold more than `limit` of those let through."""
    throttle, now, let_through = Throttle(limit, 60.0), 0.0, []
    for pause in pauses:
        now += pause
        if throttle.wait_s("k", now) == 0.0:
            throttle.take("k", now)
            let_through.append(now)
    for at in let_through:
        assert sum(at - 60.0 < other <= at for other in let_through) <= limit


def test_the_brake_is_bounded() -> None:
    """A million names cost no more memory than `max_keys` of them."""
    throttle = Throttle(5, 60.0, max_keys=100)
    for n in range(1000):
        throttle.take(str(n), 0.0)
    assert len(throttle._tries) == 100
