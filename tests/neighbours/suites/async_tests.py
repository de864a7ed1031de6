"""Async tests: whatever plugin runs them, they wait for their checks."""

import asyncio

import pytest

from pytest_bgcheck import background_check

pytestmark = pytest.mark.anyio

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


@pytest.mark.bgcheck
async def test_async_passes(good):
    await asyncio.sleep(0.01)
    assert good.stdout == "fine\n"


@pytest.mark.bgcheck
async def test_async_check_fails(bad):
    raise AssertionError


@pytest.fixture
def anyio_backend():
    return "asyncio"
