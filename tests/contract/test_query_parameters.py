"""What is asked in a query string is either declared or refused by name; short lists page by key."""

from __future__ import annotations

import pytest

from shared.errors.taxonomy import InvalidRequest
from shared.serving.app import TierApp
from shared.serving.paging import page_of
from tests.contract.test_doors import filled, guarded, knock, token
from tests.unit.gateway.door import Issuer


async def test_a_parameter_nobody_declared_is_refused_by_its_name(tier: TierApp, issuer: Issuer) -> None:
    asked = 0
    async with knock(tier) as client:
        for operation in guarded(tier):
            if operation.method != "GET":
                continue
            scopes = " ".join((*operation.scopes, *operation.one_of))
            bearer = {"authorization": f"Bearer {token(tier, issuer, scope=scopes, tenant='harbour')}"}
            answer = await client.get(f"{filled(operation.path)}?limt=1", headers=bearer)
            if answer.status_code == 422:
                told = answer.json()["errors"]
                assert {"query.limt"} == {one["field"] for one in told if "limt" in one["field"]}, operation.name
                asked += 1
            else:
                assert answer.status_code in {200, 303, 404}, (operation.name, answer.status_code)
    assert asked > 5


def test_a_short_list_reads_on_after_the_last_key_whatever_came_or_went() -> None:
    first = page_of(["d", "a", "c"], str, None, 2)
    assert (first.items, first.next_cursor is not None) == (("a", "c"), True)
    rest = page_of(["d", "b", "c"], str, first.next_cursor, 2)
    assert (rest.items, rest.next_cursor) == (("d",), None)


def test_a_cursor_of_another_kind_of_list_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        page_of(["a"], str, "eyJhZnRlciI6MTAwfQ", 2)
