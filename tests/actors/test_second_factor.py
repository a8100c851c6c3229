"""Signing in with a code, too."""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from actors.contracts.user import SignIn
from actors.contracts.user_totp import BeginTotp, ConfirmTotp, DisableTotp
from actors.totp import STEP_MS, code_at, step_of
from runtime.errors import Forbidden, Invalid
from runtime.testing import Stage
from tests.actors.people import PASSWORD, Person
from tests.shelves import rows_of

# RFC 6238 appendix B, the last six of the eight digits that it shows for SHA-1
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(b"12345678901234567890", seconds * 1000 // STEP_MS) == code


def test_the_steps_beside_the_present_one_are_taken_and_no_others() -> None:
    now, secret = 1_000_000 * STEP_MS + 1, b"12345678901234567890"
    taken = [step for step in range(999_990, 1_000_010) if step_of(secret, code_at(secret, step), now, after=0) == step]
    assert taken == [999_999, 1_000_000, 1_000_001]
    assert step_of(secret, code_at(secret, 1_000_000), now, after=1_000_000) is None


class Authenticator:
    """Somebody's, with the secret of an account."""

    def __init__(self, ada: Person, secret: str) -> None:
        self.ada = ada
        self.secret = base64.b32decode(secret + "=" * (-len(secret) % 8))

    def code(self, steps: int = 0) -> str:
        """The present one, or one so many steps later."""
        return code_at(self.secret, self.ada.stage.now // STEP_MS + steps)

    async def sign_in(self, totp: str | None, password: str = PASSWORD) -> str:
        """`ok`, or the code of the refusal."""
        return await self.ada.outcome(SignIn(email=self.ada.user.email, password=password, totp=totp), self.ada.anyone)

    async def next_step(self) -> str:
        """Half a minute later: its code."""
        self.ada.stage.advance(seconds=30)
        return self.code()


@pytest.fixture
async def ada(stage: Stage) -> Person:
    stage.advance(hours=1)
    return await Person.register(stage)


@pytest.fixture
async def begun(ada: Person) -> Authenticator:
    """With a secret that no code was shown of."""
    answer = await ada.stage.ask(BeginTotp(), caller=ada.caller)
    uri = urlsplit(answer.otpauth_uri)
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", f"/Troupe:{ada.user.email}")
    assert parse_qs(uri.query) == {
        "secret": [answer.secret], "issuer": ["Troupe"], "algorithm": ["SHA1"], "digits": ["6"], "period": ["30"],
    }  # fmt: skip
    return Authenticator(ada, answer.secret)


async def enable(begun: Authenticator) -> list[str]:
    """Its recovery codes."""
    answer = await begun.ada.stage.ask(ConfirmTotp(code=begun.code()), caller=begun.ada.caller)
    begun.ada.stage.advance(seconds=30)
    return answer.recovery_codes


async def test_until_a_code_was_shown_a_password_is_enough(begun: Authenticator) -> None:
    assert await begun.sign_in(None) == "ok"


async def test_a_wrong_code_enables_nothing(begun: Authenticator) -> None:
    for code in ("", "000000" if begun.code() != "000000" else "000001", begun.code(2), "é", "\0"):
        with pytest.raises(Invalid, match=r"user\.totp_invalid"):
            await begun.ada.stage.ask(ConfirmTotp(code=code), caller=begun.ada.caller)
    assert await begun.sign_in(None) == "ok"


async def test_nothing_begun_cannot_be_confirmed(ada: Person, begun: Authenticator) -> None:
    other = await Person.register(ada.stage, "Bob")
    assert await other.outcome(ConfirmTotp(code="123456")) == "user.totp_not_started"
    await enable(begun)
    assert await ada.outcome(ConfirmTotp(code=begun.code())) == "user.totp_not_started"


async def test_an_enabled_account_wants_password_and_code(begun: Authenticator) -> None:
    await enable(begun)
    assert await begun.sign_in(None) == "auth.totp_required"
    assert await begun.sign_in(None, "wrong") == "auth.invalid_credentials"
    assert await begun.sign_in(begun.code(), "wrong") == "auth.invalid_credentials"
    assert await begun.sign_in(begun.code(5)) == "auth.invalid_credentials"
    assert await begun.sign_in("") == "auth.invalid_credentials"
    assert await begun.sign_in(begun.code()) == "ok"


async def test_a_missing_code_is_no_failure_and_a_wrong_one_is(begun: Authenticator) -> None:
    await enable(begun)
    assert [await begun.sign_in(None) for _ in range(6)] == ["auth.totp_required"] * 6
    codes = [await begun.sign_in(begun.code(9)) for _ in range(6)]
    assert codes == ["auth.invalid_credentials"] * 5 + ["auth.throttled"]


async def test_a_code_works_once_and_no_older_one_after_it(begun: Authenticator) -> None:
    await enable(begun)
    older = await begun.next_step()
    code = await begun.next_step()
    assert [await begun.sign_in(code), await begun.sign_in(code)] == ["ok", "auth.invalid_credentials"]
    assert await begun.sign_in(older) == "auth.invalid_credentials"
    assert await begun.sign_in(await begun.next_step()) == "ok"


async def test_the_code_that_enabled_it_does_not_sign_in(begun: Authenticator) -> None:
    code = begun.code()
    await begun.ada.stage.ask(ConfirmTotp(code=code), caller=begun.ada.caller)
    assert await begun.sign_in(code) == "auth.invalid_credentials"


async def test_of_many_uses_of_a_code_at_once_one_is_taken(begun: Authenticator) -> None:
    await enable(begun)
    code = begun.code()
    codes = await asyncio.gather(*(begun.sign_in(code) for _ in range(4)))
    assert codes.count("ok") == 1


async def test_a_recovery_code_works_once_in_any_spelling(begun: Authenticator) -> None:
    first, second, *rest = await enable(begun)
    assert len({first, second, *rest}) == 10
    assert [await begun.sign_in(first), await begun.sign_in(first)] == ["ok", "auth.invalid_credentials"]
    assert await begun.sign_in(second.upper().replace("-", " ")) == "ok"


async def test_wrong_codes_for_one_account_are_few_from_wherever_they_come(begun: Authenticator) -> None:
    await enable(begun)
    codes = []
    for _ in range(3):
        elsewhere = Authenticator(Person(begun.ada.stage, begun.ada.user), "")
        codes += [await elsewhere.sign_in("123456") for _ in range(4)]
    assert codes == ["auth.invalid_credentials"] * 10 + ["auth.throttled"] * 2
    begun.ada.stage.advance(minutes=5)
    assert await begun.sign_in(begun.code()) == "ok"


async def test_a_new_secret_counts_once_it_is_confirmed(begun: Authenticator) -> None:
    old_codes = await enable(begun)
    answer = await begun.ada.stage.ask(BeginTotp(), caller=begun.ada.caller)
    new = Authenticator(begun.ada, answer.secret)
    assert await begun.sign_in(begun.code()) == "ok"
    await enable(new)
    assert await begun.sign_in(begun.code()) == "auth.invalid_credentials"
    assert await begun.sign_in(old_codes[0]) == "auth.invalid_credentials"
    assert await new.sign_in(new.code()) == "ok"


async def test_with_the_password_it_is_disabled(begun: Authenticator) -> None:
    codes = await enable(begun)
    with pytest.raises(Forbidden, match=r"auth\.invalid_credentials"):
        await begun.ada.stage.ask(DisableTotp(password="wrong"), caller=begun.ada.caller)
    assert await begun.sign_in(None) == "auth.totp_required"
    await begun.ada.stage.ask(DisableTotp(password=PASSWORD), caller=begun.ada.caller)
    assert await begun.sign_in(None) == "ok"
    await begun.ada.stage.ask(BeginTotp(), caller=begun.ada.caller)
    assert await begun.sign_in(codes[0]) == "ok"  # no code is wanted, and none looked at


async def test_enabling_and_disabling_are_in_the_audit_and_no_secret_lies_in_the_clear(begun: Authenticator) -> None:
    root = await Person.admin(begun.ada.stage)
    codes = await enable(begun)
    text = ""
    for table in ("totp", "recovery_code", "inbox", "audit"):
        text += repr(await rows_of(begun.ada.stage.dispatches["user"].store, table))
    assert not [each for each in codes if each in text]
    assert repr(begun.secret)[2:-1] not in text
    await begun.ada.stage.ask(DisableTotp(password=PASSWORD), caller=begun.ada.caller)
    await begun.ada.stage.ask(DisableTotp(password=PASSWORD), caller=begun.ada.caller)  # again is no error
    assert [each.action for each in await root.audit(begun.ada)][1:] == ["totp.enabled", "totp.disabled"]
