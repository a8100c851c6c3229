"""Accounts and signing keys, as the user actor reads and writes them, and the way to its other records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.contracts.user import Contact, Person, PublicKey, Role, Status, User
from actors.contracts.values import rfc3339
from actors.pages import After
from actors.records.access import AccessFeed
from actors.records.api_token import ApiTokens
from actors.records.attempts import Attempts
from actors.records.audit import Audit
from actors.records.mailed_token import HOUR_MS, MailedTokens
from actors.records.second_factor import SecondFactors
from actors.records.session import SessionRecords
from runtime.keys import Sealer
from runtime.loader import Loader
from runtime.ports import Session, Value


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `account`; times are ms since the epoch.

    :param address: the e-mail address as it is compared.
    :param password: argon2id, encoded.
    """

    id: str
    email: str
    address: str
    email_verified: bool = False
    password: str
    name: str
    role: Role = "member"
    status: Status = "active"
    locale: str
    timezone: str
    phone: str | None = None
    avatar_url: str | None = None
    created_at: int
    updated_at: int
    version: int = 1

    def user(self) -> User:
        """As its owner sees it."""
        return User(
            id=self.id,
            email=self.email,
            email_verified=self.email_verified,
            name=self.name,
            role=self.role,
            status=self.status,
            locale=self.locale,
            timezone=self.timezone,
            phone=self.phone,
            avatar_url=self.avatar_url,
            created_at=rfc3339(self.created_at),
            updated_at=rfc3339(self.updated_at),
            version=self.version,
        )

    def person(self) -> Person:
        """As other actors may know it."""
        return Person(
            id=self.id,
            name=self.name,
            active=self.status == "active",
            version=self.version,
            timezone=self.timezone,
        )

    def contact(self) -> Contact:
        """As the notify actor may know it."""
        return Contact(
            email=self.email,
            email_verified=self.email_verified,
            locale=self.locale,
            timezone=self.timezone,
            phone=self.phone,
        )


class SealedKey(msgspec.Struct, frozen=True):
    """A row of `signing_key`: the private half is sealed."""

    kid: str
    sealed: bytes
    x: str
    y: str


_ACCOUNT = ", ".join(Account.__struct_fields__)


class UserRecords:
    """The user actor's store.

    :ivar attempts: sign-in attempts, by network and account.
    :ivar resets: tokens that let in who has lost their password; an address is known by its digest.
    :ivar verifications: tokens that prove addresses.
    :ivar access: what every edge must know of those who may no longer come in.
    """

    def __init__(self, session: Session, sealer: Sealer) -> None:
        self._session = session
        self._accounts = Loader(self._fetch)
        self.access = AccessFeed(session)
        self.api_tokens = ApiTokens(session)
        self.attempts = Attempts(session)
        self.audit = Audit(session, sealer)
        self.second_factors = SecondFactors(session)
        self.sessions = SessionRecords(session)
        self.resets = MailedTokens(session, "reset", HOUR_MS)
        self.verifications = MailedTokens(session, "verification", 24 * HOUR_MS)

    async def account(self, id: str) -> Account | None:
        return await self._accounts.load(id)

    async def account_of(self, address: str) -> Account | None:
        row = await self._session.row(f"select {_ACCOUNT} from account where address = $1", address)  # noqa: S608 # a constant
        return account_of(row) if row else None

    async def accounts_after(self, id: str, limit: int) -> Sequence[Account]:
        """By id, those after this one."""
        sql = f"select {_ACCOUNT} from account where id > $1 order by id limit $2"  # noqa: S608 # a constant
        return [account_of(row) for row in await self._session.fetch(sql, id, limit)]

    async def page_of(
        self, *, q: str | None, role: Role | None, status: Status | None, limit: int, after: After | None
    ) -> list[Account]:
        """Accounts, newest first. :param q: stands literally in name or address, in any case of letters."""
        conditions, arguments = ["1 = 1"], list[Value]()

        def add(condition: str, *values: Value) -> None:
            conditions.append(condition.format(*(f"${len(arguments) + n}" for n in range(1, len(values) + 1))))
            arguments.extend(values)

        if q is not None:
            add("folded like {0} escape '!'", f"%{_literal(q.casefold())}%")
        if role is not None:
            add("role = {0}", role)
        if status is not None:
            add("status = {0}", status)
        if after is not None:
            add("(created_at, id) < ({0}, {1})", *after)
        sql = (
            f"select {_ACCOUNT} from account where {' and '.join(conditions)}"  # noqa: S608 # constants
            f" order by created_at desc, id desc limit ${len(arguments) + 1}"
        )
        return [account_of(row) for row in await self._session.fetch(sql, *arguments, limit)]

    async def add_account(self, account: Account) -> None:
        """:raises Duplicate: the address is taken."""
        values = values_of(account)
        await self._session.insert("account", list(values), [list(values.values())])

    async def change(self, before: Account, after: Account) -> bool:
        """Write an account; False: somebody else has changed it since it was read."""
        values = values_of(after)
        changes = ", ".join(f"{column} = ${n}" for n, column in enumerate(values, 3))
        sql = f"update account set {changes} where id = $1 and version = $2"  # noqa: S608 # names from code
        return await self._session.execute(sql, before.id, before.version, *values.values()) == 1

    async def delete(self, account: Account) -> bool:
        """With all that belongs to it; False: somebody else has changed it since it was read."""
        sql = "delete from account where id = $1 and version = $2"
        return await self._session.execute(sql, account.id, account.version) == 1

    async def active_admins(self) -> set[str]:
        """Their ids; none of them is changed by anybody else until the transaction ends."""
        rows = await self._session.fetch(
            "update account set role = role where role = 'admin' and status = 'active' returning id"
        )
        return {row["id"] for row in rows}

    async def set_password(self, id: str, password: str) -> Account | None:
        """A new digest; the account that has it now."""
        sql = f"update account set password = $2 where id = $1 returning {_ACCOUNT}"  # noqa: S608 # a constant
        row = await self._session.row(sql, id, password)
        return account_of(row) if row else None

    async def rehash(self, account: Account, password: str) -> None:
        """The same password, hashed anew, unless it was changed since."""
        await self._session.execute(
            "update account set password = $3 where id = $1 and password = $2", account.id, account.password, password
        )

    async def knows_any_network(self, account_id: str) -> bool:
        """Whether the account was ever signed in to lately."""
        sql = "select 1 from known_network where account_id = $1 limit 1"
        return await self._session.row(sql, account_id) is not None

    async def knows_network(self, account_id: str, network: str, since: int) -> bool:
        """Whether the account was signed in to from that network since then."""
        sql = "select 1 from known_network where account_id = $1 and network = $2 and seen_at >= $3"
        return await self._session.row(sql, account_id, network, since) is not None

    async def remember_network(self, account_id: str, network: str, now: int) -> None:
        await self._session.execute(
            "insert into known_network (account_id, network, seen_at) values ($1, $2, $3)"
            " on conflict (account_id, network) do update set seen_at = excluded.seen_at",
            account_id,
            network,
            now,
        )

    async def forget_networks(self, seen_before: int) -> None:
        await self._session.execute("delete from known_network where seen_at < $1", seen_before)

    async def signing_key(self, made_before: int) -> SealedKey | None:
        """The newest one of those made before a time, or else the first."""
        row = await self._session.row(
            "select kid, sealed, x, y from signing_key order by case when created_at <= $1 then 0 else 1 end,"
            " case when created_at <= $1 then -created_at else created_at end limit 1",
            made_before,
        )
        return SealedKey(**row) if row else None

    async def forget_keys(self, replaced_before: int) -> None:
        """Delete the keys that another one had taken the place of by then."""
        await self._session.execute(
            "delete from signing_key where created_at <"
            " (select max(created_at) from signing_key where created_at <= $1)",
            replaced_before,
        )

    async def public_keys(self) -> list[PublicKey]:
        rows = await self._session.fetch("select kid, x, y from signing_key order by created_at desc")
        return [PublicKey(kid=row["kid"], x=row["x"], y=row["y"]) for row in rows]

    async def add_key(self, key: SealedKey, now: int) -> None:
        columns = (*SealedKey.__struct_fields__, "created_at")
        await self._session.insert("signing_key", columns, [(*msgspec.structs.astuple(key), now)])

    async def _fetch(self, ids: Sequence[str]) -> Mapping[str, Account]:
        rows = await self._session.fetch(f"select {_ACCOUNT} from account where id = any($1)", ids)  # noqa: S608 # a constant
        return {row["id"]: account_of(row) for row in rows}


def values_of(account: Account) -> dict[str, Value]:
    """Column → value."""
    values: dict[str, Value] = msgspec.structs.asdict(account)
    return {
        **values,
        "email_verified": int(account.email_verified),
        "folded": f"{account.name.casefold()} {account.address}",
    }


def _literal(text: str) -> str:
    """For `like … escape '!'`."""
    return re.sub("[!%_]", r"!\g<0>", text)


def account_of(row: Mapping[str, Any]) -> Account:
    return Account(**{**row, "email_verified": bool(row["email_verified"])})
