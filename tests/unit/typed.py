"""What the type checker knows of asks: `test_types` runs mypy over this file, which is never run itself."""

from __future__ import annotations

from typing import assert_type

from runtime.client import Client
from runtime.message import Grant
from runtime.testing import Stage
from tests.unit.counter import Add, GetTotal, Keep, Total, Vouch, WhoAmI


async def of_the_client(client: Client) -> None:
    assert_type(await client.ask(Add(name="a")), Total)
    assert_type(await client.ask(GetTotal(name="a")), Total)
    assert_type(await client.ask(WhoAmI()), str)
    assert_type(await client.ask(Vouch(subject="a")), Grant)
    await client.ask(Keep(token="a"))  # answers nothing: no value to use


async def of_the_stage(stage: Stage) -> None:
    assert_type(await stage.ask(Add(name="a")), Total)
    assert_type(await stage.ask_all([Add(name="a")]), list[Total | BaseException])
