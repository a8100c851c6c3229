"""A house for the tests of a module, and who lives there. A module that wants another one has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.edge.whole_house import House, house_of
from tests.system.world import Api


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of(tmp_path_factory.mktemp("var")) as house:
        yield house


@pytest.fixture(scope="module")
async def ada(house: House) -> Api:
    return await house.anyone.person("Ada")


@pytest.fixture
async def project(ada: Api) -> str:
    return await ada.project()


@pytest.fixture
async def task(ada: Api, project: str) -> Any:
    return await ada.task(project)
