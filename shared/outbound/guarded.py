"""Addresses that others name (keys of a client, webhook targets): looked up, judged, then asked at that very place.

A name may resolve to a machine of ours, or to another one a moment later; so it is resolved once, every address it
resolves to is judged, and the connection goes to the judged address with the name kept for TLS and `Host`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import httpx

from shared.errors.taxonomy import InvalidRequest, VendorDrift, VendorUnavailable
from shared.outbound.trust import trusted

_NAT64: Final = IPv6Network("64:ff9b::/96")
# Public by their numbers, inside by their use: metadata of clouds, relays and site-local networks of old, and what some
# versions of Python still take for public.
_INSIDE: Final = tuple(
    ip_network(one)
    for one in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "fec0::/10", "2001::/23")
)
_OK: Final = 200


class AddressRefused(InvalidRequest):
    """The address is none we would ever ask on somebody else's word."""

    code = "address_refused"
    sentence = "The address is not one that is asked from here."


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be asked: https at public addresses.

    `allows_loopback`: anything on this machine too, without TLS (tests, one-machine installations). `allows_private`:
    networks of our own too, because an operator named the address, not a caller.
    """

    allows_loopback: bool = False
    allows_private: bool = False
    most_bytes: int = 131_072
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """An address that was judged: `url` names the very machine, `host` goes into the Host header and TLS."""

    url: httpx.URL
    host: str
    name: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that keeps the name."""
        return {"Host": self.host}

    @property
    def extensions(self) -> dict[str, Any]:
        """What makes TLS ask for the name, not the number."""
        return {"sni_hostname": self.name}


async def admitted(address: str, rules: AddressRules) -> Admitted:
    """The address, resolved and judged. Raises: AddressRefused, or VendorUnavailable when its name is not known."""
    url = _read(address)
    try:
        found = [ip_address(url.host)]
    except ValueError:
        found = await _resolved(url)
    is_ours = all(_plain(one).is_loopback for one in found)
    if is_ours and rules.allows_loopback:
        return _at(url, found[0])
    if url.scheme != "https":
        raise AddressRefused("The address does not begin with https://.")
    if not rules.allows_private and any(not is_public(one) for one in found):
        raise AddressRefused("The address leads into a network that is not public.")
    return _at(url, found[0])


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the whole internet can reach it: no private, local, reserved or translated-to-private address."""
    plain = _plain(address)
    if any(plain in one for one in _INSIDE):
        return False
    return plain.is_global and not plain.is_multicast and not plain.is_reserved and not plain.is_unspecified


async def fetch_json(address: str, rules: AddressRules) -> Any:
    """The JSON document there; no redirect is followed, nothing large or slow is waited for.

    Raises: AddressRefused, VendorUnavailable, VendorDrift.
    """
    place = await admitted(address, rules)
    try:
        async with asyncio.timeout(rules.seconds), httpx.AsyncClient(verify=trusted(), trust_env=False) as client:
            request = client.build_request(
                "GET",
                place.url,
                headers={**place.headers, "Accept": "application/json", "Accept-Encoding": "identity"},
                extensions=place.extensions,
            )
            answer = await client.send(request, stream=True)
            try:
                content = await _bounded(answer, rules.most_bytes, place.name)
            finally:
                await answer.aclose()
    except (httpx.HTTPError, TimeoutError) as error:
        raise VendorUnavailable(f"{place.name} does not answer.", detail=type(error).__name__) from error
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise VendorDrift(f"{place.name} answered something that is not JSON.") from error


async def _bounded(answer: httpx.Response, most: int, name: str) -> bytes:
    if answer.status_code != _OK:
        raise VendorUnavailable(f"{name} answered {answer.status_code}.")
    content = bytearray()
    async for chunk in answer.aiter_raw():  # nothing is unpacked: little may become much
        content += chunk
        if len(content) > most:
            raise VendorDrift(f"{name} answered more than {most} bytes.")
    return bytes(content)


def _read(address: str) -> httpx.URL:
    if "\\" in address:  # readers differ about where such an address leads
        raise AddressRefused("The address cannot be used.")
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefused("The address cannot be read.") from error
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.fragment:
        raise AddressRefused("The address cannot be used.")
    return url


async def _resolved(url: httpx.URL) -> Sequence[IPv4Address | IPv6Address]:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise VendorUnavailable(f"The name {url.host} is not known.") from error
    return [ip_address(str(row[4][0]).partition("%")[0]) for row in rows]


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6 clothes is judged as what it is."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _at(url: httpx.URL, address: IPv4Address | IPv6Address) -> Admitted:
    return Admitted(url.copy_with(host=str(address)), url.netloc.decode("ascii"), url.host)
