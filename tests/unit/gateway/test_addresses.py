"""Addresses: who a request comes from, whose word about it is believed, and who is let in."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.gateway.policies.ip_filter.config import IpFilter
from shared.gateway.policies.ip_filter.handler import IpFilterHandler
from shared.gateway.policies.ip_filter.networks import Networks
from shared.gateway.policies.proxies.config import Proxies
from shared.gateway.policies.proxies.handler import ProxiesHandler, bare_address
from shared.gateway.refusals import AddressNotPermitted
from tests.unit.gateway.door import documents, opened
from tests.unit.gateway.stand import kit_of

PROXIES = ["10.0.0.0/8", "fd00::/8"]


def seen(address: str, header: str = "x-forwarded-for", trusted: list[str] | None = None, **headers: str) -> str:
    """The address a request has once the proxies policy has looked at it."""
    config = Proxies.model_validate({"trusted": PROXIES if trusted is None else trusted, "header": header})
    kit = kit_of(address=address, headers={name.replace("_", "-"): value for name, value in headers.items()})
    ProxiesHandler(config).enter(kit)
    return kit.address


@pytest.mark.parametrize(
    ("said", "is_seen"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),  # what the caller wrote itself stands further left
        ("203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("203.0.113.7:4711, 10.1.1.1:80", "203.0.113.7"),
        ("[2001:db8::7]:4711, fd00::1", "2001:db8::7"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("unknown", "10.0.0.1"),
        ("203.0.113.7, nonsense", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours_is_the_callers(said: str, is_seen: str) -> None:
    assert seen("10.0.0.1", x_forwarded_for=said) == is_seen


@pytest.mark.parametrize(
    ("said", "is_seen"),
    [
        ("for=203.0.113.7;proto=https", "203.0.113.7"),
        ('for="[2001:db8::7]:4711";proto=https, for=10.1.1.1', "2001:db8::7"),
        ('for="_hidden, for=6.6.6.6", for=203.0.113.7', "203.0.113.7"),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
    ],
)
def test_the_standard_field_is_read_as_rfc_7239_writes_it(said: str, is_seen: str) -> None:
    assert seen("10.0.0.1", "forwarded", forwarded=said) == is_seen


def test_a_stranger_and_the_other_field_are_not_believed() -> None:
    assert seen("198.51.100.1", x_forwarded_for="203.0.113.7") == "198.51.100.1"
    assert seen("10.0.0.1", "forwarded", x_forwarded_for="203.0.113.7") == "10.0.0.1"
    assert seen("10.0.0.1", forwarded="for=203.0.113.7") == "10.0.0.1"
    assert seen("10.0.0.1", trusted=[], x_forwarded_for="203.0.113.7") == "10.0.0.1"


def test_the_scheme_is_believed_from_proxies_only() -> None:
    config = Proxies.model_validate({"trusted": PROXIES})
    near, far = (
        kit_of(address=address, headers={"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"})
        for address in ("10.0.0.1", "198.51.100.1")
    )
    for kit in (near, far):
        ProxiesHandler(config).enter(kit)
    assert (near.scope["scheme"], far.scope["scheme"]) == ("https", "http")


@pytest.mark.parametrize("node", ["", "unknown", "_name", "1.2.3", "300.1.1.1", "[::1", "::1::"])
def test_what_is_no_address_is_none(node: str) -> None:
    assert bare_address(node) in {None, "::1"}


def filtered(address: str, **facts: Any) -> bool:
    try:
        IpFilterHandler(IpFilter.model_validate(facts)).enter(kit_of(address=address))
    except AddressNotPermitted:
        return False
    return True


def test_deny_is_asked_before_allow_and_everybody_else_may_come() -> None:
    assert filtered("203.0.113.7")
    assert not filtered("203.0.113.7", deny=["203.0.113.0/24"])
    assert filtered("203.0.113.7", allow=["203.0.113.0/24"])
    assert not filtered("203.0.113.7", allow=["203.0.113.0/24"], deny=["203.0.113.7/32"])
    assert not filtered("198.51.100.1", allow=["203.0.113.0/24"])
    assert filtered("2001:db8::7", allow=["2001:db8::/32"])
    assert not filtered("2001:db9::7", allow=["2001:db8::/32"])


def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() -> None:
    assert not filtered("::ffff:203.0.113.7", deny=["203.0.113.0/24"])
    assert filtered("fe80::1%eth0", allow=["fe80::/10"])


def test_who_has_no_address_is_in_no_network() -> None:
    assert not filtered("unknown", allow=["0.0.0.0/0", "::/0"])


def test_memory_for_addresses_is_bounded() -> None:
    networks = Networks(IpFilter.model_validate({"deny": ["10.0.0.0/8"]}).deny)
    assert all(networks.hold(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}") for n in range(10_000))
    assert len(networks._known) <= 4096


@pytest.mark.parametrize("wrong", [{"allow": ["10.0.0.1/8"]}, {"deny": ["nowhere"]}, {"block": []}])
def test_networks_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IpFilter.model_validate(wrong)


async def test_the_gate_refuses_by_the_address_behind_the_proxy_and_tells_it_nowhere() -> None:
    policies = {"proxies": {"trusted": ["127.0.0.0/8"]}, "ip_filter": {"deny": ["203.0.113.0/24"]}}
    async with opened(documents(policies=policies)) as door:
        answer = await door.get("/things/v1/things", headers={"x-forwarded-for": "203.0.113.7"})
        assert answer.status_code == 403
        assert answer.json()["code"] == "address_not_permitted"
        assert "203.0.113.7" not in answer.text
        assert (await door.get("/things/v1/things", headers={"x-forwarded-for": "198.51.100.1"})).status_code == 200
        assert (await door.get("/nowhere", headers={"x-forwarded-for": "203.0.113.7"})).status_code == 403


async def test_metrics_are_for_the_inner_network_only() -> None:
    async with opened(documents(policies={"proxies": {"trusted": ["127.0.0.0/8"]}})) as door:
        assert (await door.get("/metrics", token=None)).status_code == 200
        outside = {"x-forwarded-for": "203.0.113.7"}
        assert (await door.get("/metrics", token=None, headers=outside)).status_code == 403
        assert (await door.get("/health", token=None, headers=outside)).status_code == 200
