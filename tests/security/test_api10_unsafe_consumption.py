"""API10, unsafe consumption: whatever a vendor or a stranger sends us ends as an error of our tree, without harm."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.deliveries import signature
from shared.errors.taxonomy import OutcomeUnknown, PlatformError, VendorDrift
from shared.outbound import Outbound, RetryPolicy, bounded
from tests.factories.little_server import listening
from tests.security.house import OURS, THEIRS, House

pytestmark = pytest.mark.asyncio(loop_scope="package")
_BOMB = gzip.compress(b" " * 40_000_000)


def said(body: bytes, status: int = 200, **headers: str) -> bytes:
    """An answer on the wire; underscores stand for hyphens."""
    lines = [f"HTTP/1.1 {status} -", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


HOSTILE: dict[str, bytes] = {
    "html": said(b"<html><script>alert(1)</script>", content_type="text/html"),
    "deep": said(b"[" * 200_000 + b"]" * 200_000),
    "deep with an error": said(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "not utf-8": said(b'{"a": "\xff\xfe"}'),
    "a list": said(b"[1, 2, 3]"),
    "null": said(b"null"),
    "a number without end": said(b'{"records": ' + b"9" * 200_000 + b"}"),
    "not a number": said(b'{"records": NaN}'),
    "elsewhere": said(b"", 302, location="http://169.254.169.254/latest/meta-data"),
    "nothing": said(b""),
    "cut": b"HTTP/1.1 200 -\r\ncontent-length: 1000\r\n\r\n{",
    "no http": b"220 smtp.example ESMTP\r\n\r\n",
    "a header without end": b"HTTP/1.1 200 -\r\nx: " + b"a" * 300_000 + b"\r\n\r\n",
    "packed rubbish": said(b"\x1f\x8b\x08\x00rubbish", content_encoding="gzip"),
    "a bomb": said(_BOMB, content_encoding="gzip"),
    "a cookie and a refresh": said(b'{"a": 1}', set_cookie="a=b", refresh="0;url=http://127.0.0.1/"),
}


@asynccontextmanager
async def vendor(answer: Callable[[], bytes]) -> AsyncGenerator[str]:
    """Says this to whoever asks, whatever is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        await writer.drain()

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_answer_is_an_error_of_our_tree(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded.answered, "__defaults__", (4_000_000,))
    async with vendor(lambda: HOSTILE[what]) as url:
        outbound = Outbound(system="vendor", base_url=url, timeout=2.0, retry=RetryPolicy(attempts=1, total=2.0))
        for asked in (outbound.read("GET", "/"), outbound.write("POST", "/", json={})):
            refusal: PlatformError | None = None
            try:
                (await asked).json()
            except PlatformError as error:
                refusal = error
            assert refusal is None or (refusal.status >= 500 and len(refusal.message) < 500), what
        await outbound.aclose()


async def test_an_answer_without_end_is_read_no_further_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded.answered, "__defaults__", (1_000_000,))
    for content in (said(b" " * 3_000_000), HOSTILE["a bomb"]):
        async with vendor(lambda content=content: content) as url:
            outbound = Outbound(system="vendor", base_url=url, retry=RetryPolicy(attempts=3, total=2.0))
            with pytest.raises(VendorDrift):
                await outbound.read("GET", "/")
            with pytest.raises(OutcomeUnknown):
                await outbound.write("POST", "/", json={})
            await outbound.aclose()


@asynccontextmanager
async def spoilt(house: House, spoil: Callable[[httpx.Response], bytes]) -> AsyncGenerator[None]:
    """The outbound end of every tier gets its answers changed on the way."""
    honest = bounded.answered

    async def answered(
        client: httpx.AsyncClient, request: httpx.Request, most: int = bounded.MOST_BYTES
    ) -> httpx.Response:
        told = await honest(client, request, most)
        if "/services/data/" not in request.url.path:
            return told
        return httpx.Response(200, content=spoil(told), request=request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.outbound.client.answered", answered)
        yield
    assert house


async def test_hostile_records_of_a_vendor_come_out_of_the_system_tier_as_drift(house: House) -> None:
    def with_value(value: Any) -> Callable[[httpx.Response], bytes]:
        def spoil(told: httpx.Response) -> bytes:
            document = told.json()
            for row in document.get("records", [document]):
                for name in list(row):
                    if name not in {"attributes", "Id"}:
                        row[name] = value
            return json.dumps(document).encode()

        return spoil

    values: list[Any] = [
        {"a": 1},
        ["x"] * 1000,
        "x" * 100_000,
        -1,
        True,
        "'; DROP TABLE cross_references; --",
        "\u0000",
    ]
    for value in values:
        async with spoilt(house, with_value(value)):
            for path in ("/crm/v1/opportunities", "/crm/v1/customers"):
                answer = await house.ask("system", "GET", path)
                assert answer.status_code in {200, 502}, (str(value)[:40], answer.status_code, answer.text[:300])
                assert len(answer.content) < 100_000 or answer.status_code == 200
                if answer.status_code == 502:
                    assert answer.json()["code"] in {"vendor_drift", "vendor_rejected"}, answer.text[:300]
    async with spoilt(house, lambda _told: b'{"records": [' * 50_000):
        assert (await house.ask("system", "GET", "/crm/v1/customers")).status_code == 502
    assert (await house.ask("system", "GET", "/crm/v1/customers")).status_code == 200, "and all is as before"


async def test_a_delivery_counts_once_signed_recent_and_with_its_own_tenant(house: House) -> None:
    url = f"{house.tiers['system'].url}/intake/v1/webhooks/salesforce"
    header = {"entityName": "Opportunity", "recordIds": ["006A0000000PnTYIA0"], "changeType": "UPDATE"}
    header |= {"changeOrigin": "com/salesforce/api/rest/60.0", "commitTimestamp": int(time.time() * 1000)}  # type: ignore[dict-item]
    body = json.dumps({"data": {"payload": {"ChangeEventHeader": header}}}).encode()
    secret, now = house.vendors[OURS].webhook_secret, int(time.time())

    async def delivers(number: str, stamp: str, signed: str, content: bytes = body) -> httpx.Response:
        headers = {"webhook-id": number, "webhook-timestamp": stamp, "webhook-signature": signed}
        return await house.http.post(url, content=content, headers={"content-type": "application/json"} | headers)

    good = signature(secret, "msg-9", str(now), body)
    refused = {
        "another body": await delivers("msg-9", str(now), good, body + b" "),
        "another number": await delivers("msg-8", str(now), good),
        "another time": await delivers("msg-9", str(now + 1), good),
        "no signature": await delivers("msg-9", str(now), ""),
        "a shorter one": await delivers("msg-9", str(now), good[:-4]),
        "of another version": await delivers("msg-9", str(now), good.replace("v1,", "v0,")),
        "old": await delivers("msg-9", str(now - 3600), signature(secret, "msg-9", str(now - 3600), body)),
        "of tomorrow": await delivers("msg-9", str(now + 3600), signature(secret, "msg-9", str(now + 3600), body)),
        "time that is none": await delivers("msg-9", "soon", signature(secret, "msg-9", "soon", body)),
        "by guess": await delivers("msg-9", str(now), signature("webhook-secret", "msg-9", str(now), body)),
    }
    assert {what: one.status_code for what, one in refused.items() if one.status_code not in {400, 401, 422}} == {}
    hints = "SELECT count(*) FROM change_hints WHERE tenant = %s"
    before = {tenant: house.ask_database("system", hints, tenant) for tenant in (OURS, THEIRS)}
    first, again = await delivers("msg-9", str(now), good), await delivers("msg-9", str(now), good)
    assert (first.json(), again.json()) == ({"hints": 1, "new": 1}, {"hints": 1, "new": 0})
    assert house.ask_database("system", hints, THEIRS) == before[THEIRS]
