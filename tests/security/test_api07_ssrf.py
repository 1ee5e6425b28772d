"""API7, SSRF: addresses that callers name lead to public machines only, looked up once, and never anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.errors.taxonomy import PlatformError
from shared.outbound import guarded
from shared.outbound.courier import Courier
from shared.outbound.guarded import AddressRules, admitted, fetch_json, is_public
from tests.factories.little_server import listening
from tests.security.house import PASSWORD, House

pytestmark = pytest.mark.asyncio(loop_scope="package")

INSIDE = [
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "127.0.0.1", "127.1.2.3", "0.0.0.0",
    "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
]  # fmt: skip
INSIDE_6 = [
    "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "::127.0.0.1", "fe80::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "2001:db8::1", "2001::1", "fec0::1",
]  # fmt: skip
SPELLED = [
    "http://8.8.8.8/", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/", "https://", "https:///x",
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://017700000001/", "https://127.1/",
    "https://0177.0.0.1/", "https://127.0.0.1.:443/", "https://localhost/", "https://LOCALHOST./", "https://user@8.8.8.8/",
    "https://user:pass@8.8.8.8/",
    "https://8.8.8.8@127.0.0.1/", "https://8.8.8.8#@127.0.0.1/",
    "https://127.0.0.1\\@8.8.8.8/",
    "https://8.8.8.8/\r\nhost: x", "https://①②⑦.⓪.⓪.①/", "https://[::1%25eth0]/", "https://[::ffff:7f00:1]/",
    "//127.0.0.1/",
]  # fmt: skip


def addresses() -> list[str]:
    """All of them as addresses."""
    return [f"https://{one}/x" for one in INSIDE] + [f"https://[{one}]/x" for one in INSIDE_6] + SPELLED


async def test_no_spelling_of_an_inner_address_is_admitted() -> None:
    admitted_ones: list[str] = []
    for address in addresses():
        try:
            await admitted(address, AddressRules())
        except PlatformError:
            continue
        admitted_ones.append(address)
    assert admitted_ones == []
    assert (await admitted("https://8.8.8.8/x", AddressRules())).name == "8.8.8.8"
    assert not any(is_public(ip_address(one)) for one in (*INSIDE, *INSIDE_6))


async def test_every_operation_that_takes_an_address_refuses_those_inside(house: House) -> None:
    ours = (await house.items("experience", "/webhooks/v1/endpoints"))[0]
    jwks = {
        "name": "Keys elsewhere",
        "contact": "dev@harbour.example",
        "purpose": "A test",
        "plan": "trial",
        "scopes": ["deals.read"],
        "auth_method": "private_key_jwt",
    }
    wrong: list[str] = []
    for address in addresses()[::5]:  # the judgement itself knows them all, see above
        hook = {"url": address, "event_types": ["project.activated"]}
        asked: list[tuple[str, str, Any]] = [
            ("POST", "/webhooks/v1/endpoints", hook),
            ("PUT", f"/webhooks/v1/endpoints/{ours['id']}", hook),
            ("POST", "/clients/v1/clients", jwks | {"jwks_uri": address}),
        ]
        for method, path, body in asked:
            answer = await house.ask("experience", method, path, json=body)
            if answer.status_code != 422:
                wrong.append(f"{method} {path} {address}: {answer.status_code} {answer.text[:100]}")
    assert not wrong, "\n".join(wrong)


async def test_people_are_sent_back_to_registered_addresses_only(house: House) -> None:
    order = {
        "name": "Portal",
        "contact": "dev@harbour.example",
        "purpose": "A test",
        "plan": "trial",
        "scopes": ["deals.read"],
    }
    for address in ("http://portal.example/", "https://a@portal.example/", "https://portal.example/#x",
                    "javascript:alert(1)", "https://*.example/", "data:text/html,x", "https://portal.example/\\..",
                    "http://127.0.0.1.evil.example/"):  # fmt: skip
        answer = await house.ask("experience", "POST", "/clients/v1/clients", json=order | {"redirect_uris": [address]})
        assert answer.status_code == 422, (address, answer.status_code)
    for address in ("https://evil.example/", "https://portal.example/done/", "https://portal.example/done?x=1",
                    "https://portal.example.evil.example/done", "http://portal.example/done", ""):  # fmt: skip
        asked = {"response_type": "code", "client_id": "portal", "redirect_uri": address, "code_challenge": "x" * 43,
                 "code_challenge_method": "S256", "scope": "openid"}  # fmt: skip
        answer = await house.http.get(f"{house.issuer}/oauth/authorize", params=asked)
        assert answer.status_code == 400, address
        assert "location" not in answer.headers
        assert f'href="{address}' not in answer.text or not address
    for back_to in (
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aset-cookie:x=1",
    ):
        browser = house.browser()
        await browser.visits("/login?" + urlencode({"back_to": back_to}))
        answer = await browser.sends_only(name="pmo-harbour", password=PASSWORD)
        place = answer.headers.get("location", "/")
        assert place.startswith("/"), (back_to, place)
        assert not place.startswith(("//", "/\\")), (back_to, place)


class Resolver:
    """Answers look-ups in turn; what was asked is kept."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _url: object) -> list[Any]:
        self.asked += 1
        return [ip_address(one) for one in self.answers[min(self.asked, len(self.answers)) - 1]]


async def test_a_name_is_looked_up_once_and_asked_where_it_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    for mixed in (["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], ["::1"], ["::ffff:169.254.169.254"], ["8.8.8.8", "fd00::1"]):
        monkeypatch.setattr(guarded, "_resolved", Resolver(mixed))
        with pytest.raises(guarded.AddressRefused):
            await admitted("https://rebind.example/", AddressRules())
    rebinding = Resolver(["8.8.8.8"], ["127.0.0.1"])
    monkeypatch.setattr(guarded, "_resolved", rebinding)
    place = await admitted("https://rebind.example/hook", AddressRules())
    assert rebinding.asked == 1
    assert place.url.host == "8.8.8.8"
    assert place.extensions == {"sni_hostname": "rebind.example"}, "the certificate must be for the name"
    reached: list[Any] = []

    async def connect(_loop: object, _factory: object, host: str = "", port: int = 0, **_: Any) -> None:
        reached.append((host, port))
        raise OSError("nobody there")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "create_connection", connect)
    courier = Courier(AddressRules(seconds=2.0))
    assert (await courier.post("https://rebind.example/hook", b"{}", {})).status is None
    await courier.aclose()
    assert all(host == "8.8.8.8" for host, _ in reached), "the second look-up leads inside and is refused"


@asynccontextmanager
async def server(*answers: bytes) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """Answers each connection with the next of these; keeps what it was asked."""
    left, heard = list(answers), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0) if left else b"HTTP/1.1 204 -\r\n\r\n")
        await writer.drain()

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}", heard


async def test_no_redirect_is_followed_and_no_bomb_unpacked() -> None:
    import gzip  # noqa: PLC0415 - of this test alone

    bomb = gzip.compress(b" " * 50_000_000)
    packed = b"HTTP/1.1 200 -\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb
    rules = AddressRules(allows_loopback=True, seconds=5.0, most_bytes=100_000)
    moved = b"HTTP/1.1 302 -\r\nlocation: http://127.0.0.1:1/latest/meta-data\r\ncontent-length: 0\r\n\r\n"
    async with server(moved, moved, packed, packed) as (url, heard):
        courier = Courier(rules)
        assert (await courier.post(url, b"{}", {})).status == 302
        with pytest.raises(PlatformError):
            await fetch_json(url, rules)
        told = await courier.post(url, b"{}", {})
        assert (told.status, len(told.answer) <= 500) == (200, True)
        with pytest.raises(PlatformError):
            await fetch_json(url, rules)
        await courier.aclose()
    assert len(heard) == 4
    assert all(b"accept-encoding: identity" in one.lower() for one in heard)


async def test_a_connection_that_proved_one_name_carries_nothing_for_another() -> None:
    answer = b"HTTP/1.1 200 -\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n"
    async with server(answer, answer) as (url, heard):
        courier = Courier(AddressRules(allows_loopback=True))
        for _ in range(2):
            assert (await courier.post(url, b"{}", {})).status == 200
        await courier.aclose()
    assert len(heard) == 2, "each message on a connection of its own"
