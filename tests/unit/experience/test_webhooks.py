"""Telling partners: signed, at least once, to those who may hear and nobody else, with patience and with an end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from experience_apis.webhooks import rules
from experience_apis.webhooks.records import DeliveryState, Endpoint, EndpointState, Owner
from experience_apis.webhooks.room import WebhookRoom
from experience_apis.webhooks.rounds import test_message as trial_of
from shared.canonical.events import Event
from shared.errors.taxonomy import Conflict, InvalidRequest, NotFound
from shared.outbound.guarded import AddressRules
from shared.persistence import Database, upgrade
from tests.factories.little_server import listening

SCOPES = frozenset({"partner.read", "customer.read", "webhooks.read", "webhooks.write"})
PARTNER = Owner("harbour", "partner-demo", "partner-demo", SCOPES, None)


@dataclass
class Receiver:
    """A partner's server: keeps what it got, answers as told."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    has_five: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append((headers, body))
        if len(self.got) == 5:
            self.has_five.set()
        if self.hold is not None:
            await self.hold.wait()
        status, extra = self.answers.pop(0) if self.answers else (204, {})
        lines = [f"HTTP/1.1 {status} -", "content-length: 0", "connection: close"]
        lines += [f"{name}: {value}" for name, value in extra.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiver() -> AsyncGenerator[Receiver]:
    made = Receiver()
    async with listening(made.serve) as port:
        made.url = f"http://127.0.0.1:{port}/hooks"
        yield made


@dataclass
class Office:
    """The room of webhooks over a database of its own."""

    room: WebhookRoom
    database: Database
    audited: list[dict[str, Any]]

    async def endpoint(self, url: str, owner: Owner = PARTNER, *kinds: str) -> Endpoint:
        return await self.room.endpoints.add(
            owner, url=url, description=None, event_types=kinds or ("project.activated",)
        )

    async def told(self, endpoint: Endpoint, owner: Owner = PARTNER) -> list[DeliveryState]:
        found, _ = await self.room.deliveries.list_page(owner, endpoint.endpoint_id, state=None, before=None, limit=50)
        return [one.state for one in found]

    async def round(self) -> int:
        """Carry what is due; how many."""
        begun = await self.room.rounds.begin()
        await asyncio.gather(*begun)
        return len(begun)

    async def later(self) -> None:
        """Everything that waits falls due now."""
        async with self.database.transaction() as conn:
            await conn.execute(
                text("UPDATE webhook_deliveries SET next_at = now(), leased_until = NULL WHERE state = 'pending'")
            )


@pytest.fixture
async def office(postgres_url: str) -> AsyncGenerator[Office]:
    await asyncio.to_thread(upgrade, postgres_url, "experience_apis")
    database = Database(postgres_url)
    audited: list[dict[str, Any]] = []
    room = WebhookRoom.over(
        database,
        sealing_secret="not a secret: a test",
        rules=AddressRules(allows_loopback=True, seconds=2.0),
        audit=lambda line: audited.append(dict(line)),
    )
    yield Office(room, database, audited)
    await room.aclose()
    await database.aclose()


def activated(number: int = 1, *, tenant: str = "harbour", customer: str = "cus_a") -> Event:
    return Event(
        id=f"activated-{number}",
        source="/process/quote-to-project",
        type="project.activated.v1",
        subject=f"opp_{number}",
        time=datetime.now(UTC),
        tenant=tenant,
        data={
            "opportunity_id": f"opp_{number}",
            "project_id": f"prj_{number}",
            "contract_id": f"con_{number}",
            "customer_id": customer,
        },
    )


async def test_a_fact_is_told_once_and_an_independent_reader_verifies_it(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        fact = activated()
        await office.room.rounds.hear(fact)
        await office.room.rounds.hear(fact)
        assert await office.round() == 1
        assert await office.round() == 0
        [(headers, body)] = partner.got
        [secret] = await office.room.endpoints.secrets(PARTNER, endpoint.endpoint_id)
        said = Webhook(secret.value).verify(body, headers)
        assert said["type"] == "project.activated"
        assert said["data"] == {"project_id": "prj_1", "opportunity_id": "opp_1"}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret.value).verify(body.replace(b"prj_1", b"prj_2"), headers)
        assert await office.told(endpoint) == [DeliveryState.DELIVERED]


async def test_nobody_hears_of_another_tenant_or_of_customers_that_are_not_theirs(office: Office) -> None:
    async with receiver() as all_ears, receiver() as bound, receiver() as foreign:
        await office.endpoint(all_ears.url)
        await office.endpoint(bound.url, Owner("harbour", "acme", "acme", SCOPES, frozenset({"cus_b"})))
        await office.endpoint(foreign.url, Owner("quay", "stranger", "stranger", SCOPES, None))
        await office.room.rounds.hear(activated(1, customer="cus_a"))
        await office.room.rounds.hear(activated(2, customer="cus_b"))
        while await office.round():
            pass
        assert len(all_ears.got) == 2
        assert [said["data"]["project_id"] for said in bound.said()] == ["prj_2"]
        assert foreign.got == []


async def test_what_was_given_to_hear_ends_with_the_client_and_with_the_person(office: Office) -> None:
    async with receiver() as partner:
        for owner in ("ended-client", "ended-person"):
            await office.endpoint(partner.url, Owner("harbour", owner, owner, SCOPES, None))
        async with office.database.transaction() as conn:
            await conn.execute(
                text(
                    "INSERT INTO oauth_clients (client_id, name, tenant, subject, plan, scopes, audiences, grant_types,"
                    " is_enabled)"
                    " VALUES ('ended-client', 'x', 'harbour', 'ended-client', 'partner', '{}', '{}', '{}', false)"
                )
            )
            await conn.execute(
                text(
                    "INSERT INTO people (name, subject, tenant, full_name, roles, password_hash, is_enabled)"
                    " VALUES ('e', 'ended-person', 'harbour', 'E', '{partner}', '$argon2id$x', false)"
                )
            )
        await office.room.rounds.hear(activated())
        assert await office.round() == 0


async def test_endpoints_of_others_do_not_exist(office: Office) -> None:
    endpoint = await office.endpoint("http://127.0.0.1:1/")
    stranger = Owner("quay", PARTNER.subject, PARTNER.client_id, SCOPES, None)
    neighbour = Owner("harbour", "somebody", "somebody", SCOPES, None)
    for other in (stranger, neighbour):
        for ask in (
            office.room.endpoints.get(other, endpoint.endpoint_id),
            office.room.endpoints.secrets(other, endpoint.endpoint_id),
            office.room.endpoints.rotate(other, endpoint.endpoint_id, timedelta(0)),
            office.room.endpoints.remove(other, endpoint.endpoint_id),
            office.room.deliveries.get(other, endpoint.endpoint_id, "wdl_1"),
        ):
            with pytest.raises(NotFound):
                await ask
        assert await office.room.endpoints.list_page(other, after=None, limit=10) == ([], None)
        assert await office.told(endpoint, other) == []


async def test_a_receiver_that_fails_is_asked_again_as_patiently_as_it_asks(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        partner.answers = [(500, {}), (429, {"retry-after": "7200"}), (302, {"location": "http://127.0.0.1:1/"})]
        await office.room.rounds.hear(activated())
        for least in (timedelta(seconds=5), timedelta(hours=2), timedelta(minutes=30)):
            before = datetime.now(UTC)
            assert await office.round() == 1
            found, _ = await office.room.deliveries.list_page(
                PARTNER, endpoint.endpoint_id, state=None, before=None, limit=1
            )
            assert found[0].state is DeliveryState.PENDING
            assert found[0].next_at is not None
            assert least <= found[0].next_at - before <= least * 1.1 + timedelta(seconds=5)
            assert await office.round() == 0
            await office.later()
        assert (await office.room.endpoints.get(PARTNER, endpoint.endpoint_id)).failing_since is not None
        assert await office.round() == 1
        delivery, tried = await office.room.deliveries.get(PARTNER, endpoint.endpoint_id, found[0].delivery_id)
        assert delivery.state is DeliveryState.DELIVERED
        assert [one.status for one in tried] == [500, 429, 302, 204]
        assert len({headers["webhook-id"] for headers, _ in partner.got}) == 1
        assert (await office.room.endpoints.get(PARTNER, endpoint.endpoint_id)).failing_since is None


async def test_an_endpoint_that_is_gone_is_told_nothing_more(office: Office) -> None:
    async with receiver() as partner:
        endpoints = [await office.endpoint(partner.url) for _ in range(8)]
        for number in (1, 2, 3):
            await office.room.rounds.hear(activated(number))
        partner.answers = [(410, {})] * 24
        assert await office.round() == 16, "two at a time for each: attempts that end together"
        for endpoint in endpoints:
            gone = await office.room.endpoints.get(PARTNER, endpoint.endpoint_id)
            assert (gone.state, gone.disabled_because) == (EndpointState.DISABLED, "It answered 410 Gone.")
            assert DeliveryState.PENDING not in await office.told(endpoint)
            assert gone.failing_since is None
        await office.room.rounds.hear(activated(4))
        assert await office.round() == 0
        assert [line["event"] for line in office.audited][:1] == ["webhook endpoint disabled"]


async def test_an_endpoint_that_takes_nothing_for_days_is_disabled_in_the_end(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        partner.answers = [(503, {})] * 20
        await office.room.rounds.hear(activated())
        for _ in range(rules.ATTEMPTS - 1):
            await office.later()
            assert await office.round() == 1
        async with office.database.transaction() as conn:
            await conn.execute(text("UPDATE webhook_endpoints SET failing_since = now() - interval '6 days'"))
        await office.later()
        assert await office.round() == 1
        assert await office.told(endpoint) == [DeliveryState.FAILED]
        assert (await office.room.endpoints.get(PARTNER, endpoint.endpoint_id)).state is EndpointState.DISABLED
        assert len(partner.got) == rules.ATTEMPTS


def test_patience_lasts_for_days() -> None:
    assert sum(rules.PAUSES, timedelta()) > timedelta(days=3)
    assert rules.pause_after(rules.ATTEMPTS, None, 0) is None
    assert rules.pause_after(1, 10**9, 0) == timedelta(hours=24)


async def test_two_secrets_sign_while_the_old_one_is_given_up(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        [old] = await office.room.endpoints.secrets(PARTNER, endpoint.endpoint_id)
        new = (await office.room.endpoints.rotate(PARTNER, endpoint.endpoint_id, timedelta(hours=24)))[0]
        await office.room.rounds.hear(activated(1))
        await office.round()
        headers, body = partner.got[0]
        assert len(headers["webhook-signature"].split()) == 2
        for secret in (old, new):
            assert Webhook(secret.value).verify(body, headers)
        await office.room.endpoints.rotate(PARTNER, endpoint.endpoint_id, timedelta(0))
        [current] = await office.room.endpoints.secrets(PARTNER, endpoint.endpoint_id)
        await office.room.rounds.hear(activated(2))
        await office.round()
        headers, body = partner.got[1]
        assert Webhook(current.value).verify(body, headers)
        for leaked in (old, new):
            with pytest.raises(WebhookVerificationError):
                Webhook(leaked.value).verify(body, headers)


async def test_a_delivery_in_the_hands_of_a_replica_that_died_is_taken_up_by_another(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        await office.room.rounds.hear(activated())
        [dead] = await office.room.deliveries.take(10, timedelta(seconds=60))  # and is never heard of again
        assert await office.round() == 0
        await office.later()
        assert await office.round() == 1
        assert await office.told(endpoint) == [DeliveryState.DELIVERED]
        assert partner.got[0][0]["webhook-id"] == dead.message_id


async def test_a_slow_receiver_holds_up_nobody_else(office: Office) -> None:
    async with receiver() as slow, receiver() as quick:
        await office.endpoint(slow.url)
        await office.endpoint(quick.url)
        slow.hold = asyncio.Event()
        office.room.rounds.start()
        for number in range(5):
            await office.room.rounds.hear(activated(number))
        async with asyncio.timeout(10):
            await quick.has_five.wait()
        assert len(slow.got) == 2
        slow.hold.set()
        async with asyncio.timeout(10):
            await slow.has_five.wait()


async def test_what_was_told_and_what_was_missed_can_be_told_again(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        await office.room.rounds.hear(activated(1))
        await office.round()
        found, _ = await office.room.deliveries.list_page(
            PARTNER, endpoint.endpoint_id, state=None, before=None, limit=10
        )
        again = await office.room.deliveries.again(PARTNER, endpoint.endpoint_id, found[0].delivery_id)
        with pytest.raises(Conflict):
            await office.room.deliveries.again(PARTNER, endpoint.endpoint_id, again)
        await office.round()
        assert [headers["webhook-id"] for headers, _ in partner.got] == [found[0].message_id] * 2

        await office.room.endpoints.change(
            PARTNER,
            endpoint.endpoint_id,
            url=partner.url,
            description=None,
            event_types=endpoint.event_types,
            state=EndpointState.PAUSED,
            version=None,
        )
        await office.room.rounds.hear(activated(2))
        await office.room.endpoints.change(
            PARTNER,
            endpoint.endpoint_id,
            url=partner.url,
            description=None,
            event_types=endpoint.event_types,
            state=EndpointState.ACTIVE,
            version=None,
        )
        day = timedelta(days=1)
        now = datetime.now(UTC)
        recover = office.room.deliveries.recover
        assert await recover(PARTNER, endpoint.endpoint_id, now - day, now + day, 100) == 1
        assert await recover(PARTNER, endpoint.endpoint_id, now - day, now + day, 100) == 0
        await office.round()
        assert partner.said()[-1]["data"]["project_id"] == "prj_2"


async def test_a_trial_is_signed_like_any_other_message(office: Office) -> None:
    async with receiver() as partner:
        endpoint = await office.endpoint(partner.url)
        await office.room.deliveries.owe(endpoint.endpoint_id, trial_of("harbour", endpoint.endpoint_id, "msg_trial"))
        await office.round()
        [secret] = await office.room.endpoints.secrets(PARTNER, endpoint.endpoint_id)
        headers, body = partner.got[0]
        assert Webhook(secret.value).verify(body, headers)["type"] == "webhook.test"


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.7/hooks",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://192.168.1.1/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "http://127.0.0.1:9/hooks",
        "https://localhost/",
        "https://user:word@example.com/",
    ],
)
async def test_addresses_inside_are_refused_before_and_at_every_attempt(office: Office, address: str) -> None:
    strict = WebhookRoom.over(
        office.database, sealing_secret="not a secret", rules=AddressRules(seconds=2.0), audit=lambda _: None
    )
    with pytest.raises(InvalidRequest) as refused:
        await strict.refuse_bad_address(address)
    assert refused.value.findings[0].field == "body.url"
    receipt = await strict.rounds._courier.post(address, b"{}", {})
    assert receipt.status is None
    assert receipt.error
    await strict.rounds.stop()
