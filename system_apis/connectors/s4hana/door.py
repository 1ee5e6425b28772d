"""The way in: credentials of a communication arrangement, and the CSRF token with the cookies it belongs to."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from contextlib import suppress

from shared.errors.taxonomy import NotFound, VendorDrift, VendorRejected
from shared.outbound import AuthFlow, Outbound, StaticHeaders, TokenRequest
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding

VENDOR = "s4hana"
_FETCHED_AT = "sap/opu/odata/sap/API_BUSINESS_PARTNER/"
_NEXT_COOKIE = re.compile(r",\s*(?=[A-Za-z0-9_\-]+=)")


def credentials(binding: Binding) -> AuthFlow:
    """Basic or a bearer token, as the setting `auth` says. Raises Misconfigured."""
    flow = binding.choice("auth", "basic", "oauth")
    user, password = binding.setting("user"), binding.secret("password")
    basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if flow == "basic":
        return StaticHeaders({"Authorization": basic})
    scope = binding.settings.get("scope")
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    return TokenRequest(
        system=VENDOR,
        token_url=binding.setting("base_url").rstrip("/") + "/sap/bc/sec/oauth2/token",
        form=lambda: form,
        headers={"Authorization": basic},
    )


class SecuritySession:
    """Credentials on every request; once something is to be written also token and cookies, which are one pair.

    The pair is this object's own, as it belongs to one session of one worker. A refused one is fetched again, once per
    request, because the session's end is told to `renew`.
    """

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self._credentials = credentials(binding)
        self._outbound = Outbound(
            system=VENDOR,
            base_url=binding.setting("base_url"),
            auth=self._credentials,
            errors=manifest.errors,
        )
        self._lock = asyncio.Lock()
        self._pair: dict[str, str] | None = None
        self._writes = False

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    def expect_writes(self) -> None:
        """From now on requests carry the token."""
        self._writes = True

    async def headers(self) -> dict[str, str]:
        """Headers of the next request."""
        if not self._writes:
            return await self._credentials.headers()
        async with self._lock:
            if self._pair is None:
                self._pair = await self._fetched()
            pair = self._pair
        return {**await self._credentials.headers(), **pair}

    async def renew(self) -> None:
        """The session has ended: token, cookies and bearer token are fetched afresh."""
        self._pair = None
        await self._credentials.renew()

    async def _fetched(self) -> dict[str, str]:
        """Token and cookies; asked by HEAD, which costs least, and by GET where HEAD is not served."""
        told = {"x-csrf-token": "Fetch"}
        headers: Mapping[str, str] = {}
        with suppress(NotFound, VendorRejected):  # some systems serve no HEAD here: the GET below decides
            headers = (await self._outbound.read("HEAD", _FETCHED_AT, headers=told)).headers
        if "x-csrf-token" not in headers:
            headers = (await self._outbound.read("GET", _FETCHED_AT, headers=told)).headers
        token, cookies = headers.get("x-csrf-token"), headers.get("set-cookie")
        if not token or not cookies:
            raise VendorDrift(
                f"{VENDOR} gave no {'x-csrf-token' if not token else 'session cookie'} when asked for one."
            )
        shown = (cookie.split(";", 1)[0].strip() for cookie in _NEXT_COOKIE.split(cookies))
        return {"x-csrf-token": token, "Cookie": "; ".join(shown)}
