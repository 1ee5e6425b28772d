"""Withdrawn tokens at the door: remembered ones are dropped, and silence of the issuer means what is declared."""

from __future__ import annotations

from time import time
from typing import Any

import pytest

from shared.errors.taxonomy import VendorUnavailable
from shared.gateway.gateway import Gateway
from shared.gateway.supplies import Supplies
from shared.identity.revocations import Revocation, RevocationList, TokenMarks, Withdrawn
from shared.serving.revocations import Follower, RevocationEntry, RevocationPage
from tests.unit.gateway.door import Door, documents, opened


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> RevocationList:
    """The list of the tier that is opened next."""
    made = RevocationList()
    original = Gateway.__init__

    def with_ours(self: Gateway, declared: Any, supplies: Supplies, *rest: Any, **more: Any) -> None:
        object.__setattr__(supplies, "revocations", made)
        original(self, declared, supplies, *rest, **more)

    monkeypatch.setattr(Gateway, "__init__", with_ours)
    return made


def entry(kind: Withdrawn, value: str, *, tenant: str = "", before: float | None = None) -> Revocation:
    return Revocation(kind, value, before or time() + 3600, time() + 7200, tenant)


@pytest.mark.parametrize(
    ("revoked", "claims"),
    [
        (entry(Withdrawn.TOKEN, "t-1"), {}),
        (entry(Withdrawn.CLIENT, "desk"), {}),
        (entry(Withdrawn.SUBJECT, "ada", tenant="harbour"), {}),
        (entry(Withdrawn.SESSION, "s-9"), {"sid": "s-9"}),
        (entry(Withdrawn.KEY, "one"), {}),
        (entry(Withdrawn.TOKEN, "outer"), {"origin": {"jti": "outer", "client_id": "portal"}}),
        (entry(Withdrawn.CLIENT, "portal"), {"origin": {"jti": "outer", "client_id": "portal"}}),
    ],
)
async def test_a_remembered_token_is_dropped_by_whatever_withdraws_it(
    kept: RevocationList, revoked: Revocation, claims: dict[str, Any]
) -> None:
    async with opened() as door:
        token, other = door.issuer.token(**claims), door.issuer.token(jti="t-2", client_id="else", sub="bea")
        for one in (token, token, other):
            assert (await door.get("/things/v1/things", token=one)).status_code == 200
        kept.take([revoked], now=time())
        for _ in range(2):
            answer = await door.get("/things/v1/things", token=token)
            assert answer.status_code == 401
            assert answer.json()["detail"] == "The access token has been revoked."
        survives = 401 if revoked.kind is Withdrawn.KEY else 200
        assert (await door.get("/things/v1/things", token=other)).status_code == survives


async def test_tokens_issued_after_the_withdrawal_count_and_namesakes_of_other_tenants_too(
    kept: RevocationList,
) -> None:
    async with opened() as door:
        now = time()
        kept.take([entry(Withdrawn.CLIENT, "desk", before=now - 10)], now=now)
        kept.take([entry(Withdrawn.SUBJECT, "ada", tenant="orchard")], now=now)
        assert (await door.get("/things/v1/things", token=door.issuer.token())).status_code == 200
        early = door.issuer.token(iat=int(now) - 20)
        assert (await door.get("/things/v1/things", token=early)).status_code == 401


@pytest.mark.parametrize(("declared", "status"), [("refuse", 503), ("admit", 200)])
async def test_when_the_issuer_falls_silent_the_declared_choice_holds(
    kept: RevocationList, declared: str, status: int
) -> None:
    policies = {"jwt": {"when_revocations_are_stale": declared, "revocations_stale_after_seconds": 30}}
    async with opened(documents(policies=policies), client_id="tier-system") as door:
        kept.is_kept_since(time())
        token = door.issuer.token()
        assert (await door.get("/things/v1/things", token=token)).status_code == 200
        kept.confirmed_at = time() - 31
        answer = await door.get("/things/v1/things", token=token)
        assert answer.status_code == status
        if declared == "refuse":
            assert answer.json()["code"] == "revocations_stale"
            assert answer.headers["retry-after"] == "5"
        kept.take([], now=time())
        assert (await door.get("/things/v1/things", token=token)).status_code == 200


async def test_a_tier_that_refuses_when_blind_does_not_start_without_eyes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        async with opened(documents(policies={"jwt": {"when_revocations_are_stale": "refuse"}})):
            pass
    assert "needs CLIENT_ID" in capsys.readouterr().err


async def test_a_follower_reads_on_where_it_stood_and_keeps_what_it_knows_through_silence() -> None:
    asked: list[str] = []
    pages = [
        RevocationPage(items=[told("a"), told("b")], next_cursor="2", has_more=True),
        RevocationPage(items=[told("c")], next_cursor="3"),
    ]

    async def feed(cursor: str) -> RevocationPage:
        asked.append(cursor)
        if not pages:
            raise VendorUnavailable
        return pages.pop(0)

    follower = Follower(feed, RevocationList(), "system")
    await follower.read_once()
    assert asked == ["0", "2"]
    with pytest.raises(VendorUnavailable):
        await follower.read_once()
    assert asked[-1] == "3"
    assert len(follower.kept) == 3
    assert follower.kept.covers(TokenMarks("c", "x", "t", "s", time()))


def told(jti: str) -> RevocationEntry:
    return RevocationEntry(kind=Withdrawn.TOKEN, value=jti, before=time() + 60, until=time() + 60)


def test_entries_are_forgotten_once_their_tokens_have_ended_and_later_ones_win() -> None:
    kept = RevocationList()
    kept.take([Revocation(Withdrawn.CLIENT, "a", 100, 200)], now=1)
    kept.take([Revocation(Withdrawn.CLIENT, "a", 50, 900)], now=1)
    kept.take([Revocation(Withdrawn.CLIENT, "a", 150, 160)], now=1)
    assert kept.covers(TokenMarks("j", "a", "t", "s", 150))
    assert not kept.covers(TokenMarks("j", "a", "t", "s", 151))
    kept.forget_ended(199)
    assert len(kept) == 1
    kept.forget_ended(200)
    assert len(kept) == 0


async def test_a_known_bearer_token_costs_no_waiting(door: Door) -> None:
    token = door.issuer.token()
    await door.get("/things/v1/things", token=token)
    asked = door.issuer.asked
    assert (await door.get("/things/v1/things", token=token)).status_code == 200
    assert door.issuer.asked == asked
