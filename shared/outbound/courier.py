"""Courier: carries a signed body to an address a partner named; knows addresses and answers, not what is carried."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from shared.errors.taxonomy import PlatformError
from shared.outbound.guarded import AddressRules, admitted
from shared.outbound.retry import retry_after
from shared.outbound.trust import trusted

_EXCERPT_BYTES = 500


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of one attempt: the status, or why there is none.

    `answer` is the beginning of the receiver's answer, for whoever looks for the fault; `retry_after` are the seconds
    the receiver asked for.
    """

    status: int | None
    ms: int
    error: str | None = None
    answer: str = field(default="", repr=False)
    retry_after: float | None = None


class Courier:
    """Posts to addresses that partners name: judged before each attempt, no redirect followed, no long wait."""

    def __init__(self, rules: AddressRules) -> None:
        """`rules` say which addresses are asked and for how long."""
        self._rules = rules
        self._client = httpx.AsyncClient(
            verify=trusted(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(rules.seconds, connect=min(5.0, rules.seconds)),
            # connections go to numbers, and a number may house many names: one that was opened, and whose certificate
            # was checked, for one partner's name never carries another partner's message
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=0),
            headers={
                "User-Agent": "throughline-webhooks",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
            },
        )

    async def post(self, address: str, body: bytes, headers: Mapping[str, str]) -> Receipt:
        """One attempt. Repeat: another request; the receiver tells repeats by the headers."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._rules.seconds):
                place = await admitted(address, self._rules)
                request = self._client.build_request(
                    "POST",
                    place.url,
                    content=body,
                    headers={**place.headers, **headers},
                    extensions=place.extensions,
                )
                answer = await self._client.send(request, stream=True)
                try:
                    told = await _beginning(answer)
                finally:
                    await answer.aclose()
        except PlatformError as error:
            return Receipt(None, _ms(began), error=error.message)
        except TimeoutError:
            return Receipt(None, _ms(began), error=f"No answer within {self._rules.seconds:g} seconds.")
        except httpx.HTTPError as error:
            return Receipt(None, _ms(began), error=f"The connection failed ({type(error).__name__}).")
        return Receipt(
            answer.status_code, _ms(began), answer=told, retry_after=retry_after(answer.headers.get("retry-after"))
        )

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._client.aclose()


def _ms(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)


async def _beginning(answer: httpx.Response) -> str:
    content = bytearray()
    async for chunk in answer.aiter_raw():  # packed or not: unpacking may make much of little
        content += chunk
        if len(content) >= _EXCERPT_BYTES:
            break
    return bytes(content[:_EXCERPT_BYTES]).decode("utf-8", "replace").replace("\x00", "")
