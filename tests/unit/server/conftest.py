from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.server.database import Database, opened_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened_database(tmp_path) as database:
        yield database
