"""Passwords: which are too common, and argon2id (RFC 9106) in a bounded pool of threads, off the event loop."""

from __future__ import annotations

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from runtime.errors import Overloaded

COMMON = Path(__file__).with_name("common_passwords.txt")
"""One a line; its first lines say where they come from."""

WAITING = 32
"""Hashes that may wait for a thread; at about 25 ms each that is well under a second."""

T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords; texts are compared in NFC, so that keyboards may differ.

    :param parameters: of argon2id: KiB of memory, passes, lanes, with commas.
    :param threads: hashes at a time.
    """

    def __init__(self, parameters: str, *, threads: int, waiting: int = WAITING) -> None:
        memory, passes, lanes = (int(number) for number in parameters.split(","))
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=lanes)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._places = threads + waiting
        # of a password that nobody has: checking against it takes the time of a real check
        salt, key = _base64(os.urandom(16)), _base64(os.urandom(32))
        self._nobody = f"$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${key}"
        lines = COMMON.read_text(encoding="utf-8").splitlines()
        self._common = frozenset(line for line in lines if not line.startswith("#"))

    def is_common(self, password: str) -> bool:
        """Whether it is one of those that are tried first, in any case of letters."""
        return password.casefold() in self._common

    async def hash(self, password: str) -> str:
        """The encoded digest. :raises Overloaded: too many wait already."""
        return await self._run(self._hasher.hash, normal(password))

    async def matches(self, digest: str | None, password: str) -> bool:
        """Whether the password is the one; without a digest it never is, which takes just as long.

        :raises Overloaded: too many wait already.
        """
        right = await self._run(self._verify, digest or self._nobody, normal(password))
        return right and digest is not None

    async def renewed(self, digest: str, password: str) -> str | None:
        """A digest with the present parameters, where this one was made with others.

        :raises Overloaded: too many wait already.
        """
        return await self.hash(password) if self._hasher.check_needs_rehash(digest) else None

    def close(self) -> None:
        """What waits is dropped; what runs is waited for."""
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, digest: str, password: str) -> bool:
        try:
            return self._hasher.verify(digest, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[..., T], *args: str) -> T:
        if self._places == 0:
            raise Overloaded("user: too many passwords are being checked")
        self._places -= 1
        future: Future[T] = self._pool.submit(work, *args)
        loop = asyncio.get_running_loop()
        # the place is free when the thread is, also when the one who waits was cancelled
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._places += 1


def normal(password: str) -> str:
    """In NFC (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", password)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()
