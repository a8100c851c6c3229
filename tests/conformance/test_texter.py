"""What `Texter` promises, asked of both drivers; and that twins which break a promise are found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from runtime.drivers import text_files, text_twilio
from runtime.drivers.text_files import FileTexter
from runtime.errors import Invalid, SettingError, TexterAway
from runtime.ports import LONGEST_TEXT, Text, Texter
from tests.conformance.twilio_server import SID, TOKEN, Provider, twilio_server

NUMBER = "+4917612345678"
SENDER = "+15005550006"


class Post(msgspec.Struct):
    """A texter, what it has delivered, number and text, and ways to take it away and to bring it back."""

    texter: Texter
    delivered: Callable[[], list[tuple[str, str]]]
    leave: Callable[[], None]
    come_back: Callable[[], None]


Make = Callable[[], AbstractAsyncContextManager[Post]]
Promise = Callable[[Make], Awaitable[None]]


# ---------------------------------------------------------------------------------------------- promises


async def promise_any_text_arrives_as_it_was_written(make: Make) -> None:
    async with make() as post:
        written = ("Hi Ada", "Grüße, 日本, 🎭", "a=b&c=d+e%20", "two\nlines\r\n", " ", "x" * LONGEST_TEXT)
        for n, body in enumerate(written):
            await post.texter.send(Text(f"t{n}", NUMBER, body))
        assert post.delivered() == [(NUMBER, body) for body in written]


async def promise_what_is_no_number_is_refused(make: Make) -> None:
    async with make() as post:
        for to in ("030 123", "4917612345678", "+0123456789", "+49176123456789012", "", f"{NUMBER}\n", f"{NUMBER},+1"):
            with pytest.raises(Invalid) as error:
                await post.texter.send(Text("t", to, "Hi"))
            assert error.value.code == "text.number"
        assert post.delivered() == []


async def promise_a_text_of_no_fit_length_is_refused(make: Make) -> None:
    async with make() as post:
        for body in ("", "x" * (LONGEST_TEXT + 1), "half a pair \ud800"):
            with pytest.raises(Invalid) as error:
                await post.texter.send(Text("t", NUMBER, body))
            assert error.value.code == "text.body"
        assert post.delivered() == []


async def promise_away_is_said_and_passes(make: Make) -> None:
    async with make() as post:
        await post.texter.ping()
        post.leave()
        with pytest.raises(TexterAway):
            await post.texter.ping()
        with pytest.raises(TexterAway):
            await post.texter.send(Text("t", NUMBER, "Hi"))
        post.come_back()
        await post.texter.ping()
        await post.texter.send(Text("t", NUMBER, "Hi"))
        assert post.delivered() == [(NUMBER, "Hi")]


async def promise_a_number_is_forgotten_and_no_other(make: Make) -> None:
    async with make() as post:
        await post.texter.send(Text("t1", NUMBER, "Hi"))
        await post.texter.send(Text("t2", SENDER, "Hello"))
        await post.texter.forget(NUMBER)
        await post.texter.forget("+441234567890")
        if "forget" not in post.texter.lacks:
            assert post.delivered() == [(SENDER, "Hello")]


PROMISES: dict[str, Promise] = {
    name.removeprefix("promise_"): each for name, each in list(globals().items()) if name.startswith("promise_")
}


# ------------------------------------------------------------------------------------------------ drivers


@asynccontextmanager
async def in_files(folder: Path, cls: type[FileTexter] = FileTexter) -> AsyncIterator[Post]:
    sms = folder / "sms"

    def delivered() -> list[tuple[str, str]]:
        texts = [msgspec.json.decode(path.read_bytes(), type=Text) for path in sorted(sms.glob("*.json"))]
        return [(text.to, text.body) for text in texts]

    def leave() -> None:
        for path in sms.iterdir():
            path.unlink()
        sms.rmdir()
        sms.write_bytes(b"no folder")

    texter = cls(sms)
    await texter.open()
    yield Post(texter, delivered, leave, sms.unlink)
    await texter.close()


def url(provider: Provider, sender: str = SENDER, token: str = TOKEN, timeout_s: float = 0.3) -> str:
    return f"twilio://{SID}:{quote(token, safe='')}@{sender}?api={provider.address}&timeout_s={timeout_s}"


@asynccontextmanager
async def at_twilio() -> AsyncIterator[Post]:
    async with twilio_server() as provider:
        texter = text_twilio.connect(url(provider))
        await texter.open()

        def leave() -> None:
            provider.answer = (503, 20503, "Service unavailable")

        def come_back() -> None:
            provider.answer = None

        def delivered() -> list[tuple[str, str]]:
            return [(form["To"], form["Body"]) for form in provider.received]

        yield Post(texter, delivered, leave, come_back)
        await texter.close()


@pytest.mark.parametrize("name", PROMISES)
async def test_files_keep_their_promise(name: str, tmp_path: Path) -> None:
    await PROMISES[name](lambda: in_files(tmp_path))


@pytest.mark.parametrize("name", PROMISES)
async def test_twilio_keeps_its_promise(name: str) -> None:
    await PROMISES[name](at_twilio)


def test_what_each_lacks_is_known() -> None:
    assert not FileTexter.lacks
    assert text_twilio.TwilioTexter.lacks == {"forget"}


# ------------------------------------------------------------------------------------------- broken twins


class Shortening(FileTexter):
    async def send(self, text: Text) -> None:
        await super().send(msgspec.structs.replace(text, body=text.body.strip() or "x"))


class Careless(FileTexter):
    async def send(self, text: Text) -> None:
        number = "+" + "".join(filter(str.isdigit, text.to)).lstrip("0").ljust(7, "1")[:15]
        await super().send(msgspec.structs.replace(text, to=number, body=text.body[:LONGEST_TEXT]))


class Silent(FileTexter):
    async def send(self, text: Text) -> None:
        try:
            await super().send(text)
        except TexterAway:
            return


class Keeping(FileTexter):
    async def forget(self, number: str) -> None:
        pass


BROKEN: dict[type[FileTexter], tuple[str, ...]] = {
    Shortening: ("any_text_arrives_as_it_was_written",),
    Careless: ("what_is_no_number_is_refused", "a_text_of_no_fit_length_is_refused"),
    Silent: ("away_is_said_and_passes",),
    Keeping: ("a_number_is_forgotten_and_no_other",),
}


@pytest.mark.parametrize(("twin", "name"), [(twin, name) for twin, names in BROKEN.items() for name in names])
async def test_a_broken_twin_is_found_out(twin: type[FileTexter], name: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await PROMISES[name](lambda: in_files(tmp_path, twin))


# ------------------------------------------------------------------------------------------ of files alone


async def test_a_text_sent_twice_is_one_file_and_no_id_leaves_the_folder(tmp_path: Path) -> None:
    async with in_files(tmp_path) as post:
        for _ in range(2):
            await post.texter.send(Text("../../t", NUMBER, "Hi"))
        assert post.delivered() == [(NUMBER, "Hi")]
    assert names(tmp_path) == ["sms", "sms/______t.json"]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("wrong", ["file:", "file://host/sms", "file:sms?x=1"])
def test_a_wrong_folder_is_named(wrong: str) -> None:
    with pytest.raises(SettingError, match="file:var/sms"):
        text_files.connect(wrong)


# ----------------------------------------------------------------------------------------- of Twilio alone


@pytest.mark.parametrize(
    ("sender", "field"), [(SENDER, "From"), ("Troupe", "From"), ("MG" + "7" * 32, "MessagingServiceSid")]
)
async def test_a_message_comes_from_what_the_setting_names(sender: str, field: str) -> None:
    async with twilio_server() as provider:
        texter = text_twilio.connect(url(provider, sender))
        await texter.send(Text("t", NUMBER, "Hi"))
        await texter.close()
        assert provider.received == [{"To": NUMBER, field: sender, "Body": "Hi"}]


async def send(provider: Provider, token: str = TOKEN) -> None:
    texter = text_twilio.connect(url(provider, token=token))
    try:
        await texter.send(Text("t", NUMBER, "Hi"))
    finally:
        await texter.close()


@pytest.mark.parametrize("code", [21211, 21408, 21610, 21614])
async def test_what_is_refused_for_good_is_no_reason_to_try_again(code: int) -> None:
    async with twilio_server() as provider:
        provider.answer = (400, code, "Not to this number")
        with pytest.raises(Invalid, match=f"{code} Not to this number") as error:
            await send(provider)
        assert error.value.code == "text.refused"


@pytest.mark.parametrize("answer", [(429, 20429, "Too Many Requests"), (500, 20500, "Internal"), (302, 0, "elsewhere")])
async def test_what_may_pass_is_tried_later(answer: tuple[int, int, str]) -> None:
    async with twilio_server() as provider:
        provider.answer = answer
        with pytest.raises(TexterAway):
            await send(provider)


async def test_a_wrong_token_is_for_the_operator_to_mend_and_never_shown() -> None:
    async with twilio_server() as provider:
        with pytest.raises(TexterAway, match="401: 20003") as error:
            await send(provider, token="canary-91")
        assert "canary" not in str(error.value)


async def test_a_slow_silent_or_odd_server_is_away() -> None:
    async with twilio_server() as provider:
        provider.delay_s = 1
        async with asyncio.timeout(1):
            with pytest.raises(TexterAway):
                await send(provider)
        provider.delay_s, provider.body = 0, b"<html>" + b"x" * 1_000_000
        with pytest.raises(TexterAway):
            await send(provider)
    with pytest.raises(TexterAway):
        await send(provider)  # nobody listens there any more


@pytest.mark.parametrize(
    "wrong",
    ["twilio://", "twilio://sid@+49", "twilio://sid:token@", "twilio://a:b@c/d", "twilio://a:b@c?x=1",
     "twilio://a:b@c?timeout_s=x", "twilio://a:b@c?api=ftp://x"],
)  # fmt: skip
def test_a_wrong_address_is_named_without_its_token(wrong: str) -> None:
    with pytest.raises(SettingError) as error:
        text_twilio.connect(wrong)
    assert "a:b" not in str(error.value)
