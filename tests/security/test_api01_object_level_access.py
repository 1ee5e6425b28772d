"""API1."""
import pytest
pytestmark = pytest.mark.asyncio(loop_scope="package")
async def test_x(house):
    print({k: {t: len(v) for t, v in house.rows(k, "islands").items()} for k in house.tiers})
    assert 0
