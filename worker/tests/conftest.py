"""One ready worker per test module; tests that harm theirs start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from .harness import Worker, worker

SECRETS = {"API_KEY": "s3cret-value", "SHARED": "from secrets"}
SETTINGS = {"REGION": "eu-north", "SHARED": "from project", "LEVEL": "project"}


@pytest_asyncio.fixture(scope="module")
async def shared() -> AsyncIterator[Worker]:
    async with worker(secrets=SECRETS, settings=SETTINGS) as ready:
        yield ready
