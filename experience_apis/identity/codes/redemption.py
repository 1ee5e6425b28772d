"""Turns codes and refresh tokens into facts for the token endpoint, and makes its answer count once; ends grants."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from experience_apis.identity.codes.authorization import digest_of
from experience_apis.identity.codes.records import Grant, GrantShelf, RefreshToken
from experience_apis.identity.people.records import AuditLine
from experience_apis.identity.people.sessions import Withdrawals
from experience_apis.identity.records import GrantType, OAuthClient
from experience_apis.identity.tokens import Claims
from shared.telemetry.metrics import counter

REFRESH_MARK = "tr_"
_reuses = counter("throughline_experience_reuses_total", ["what"], "Codes and refresh tokens that came a second time.")


@dataclass(slots=True)
class Redemption:
    """A code or refresh token that somebody presented, and what the grant makes of it.

    `claims` and `refresh` are filled in by the grant when it decides in favour; nothing counts before `settle`.
    """

    grant: Grant
    refresh_token: RefreshToken | None
    presented: str
    claims: Claims | None = None
    refresh: str | None = None
    key_thumbprint: str | None = None


class GrantDesk:
    """Redeems codes and refresh tokens, each once."""

    def __init__(
        self,
        shelf: GrantShelf,
        withdrawals: Withdrawals,
        audit: AuditLine,
        *,
        refresh_seconds: float = 28_800.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`refresh_seconds`: a refresh token that is not used for so long ends."""
        self._shelf = shelf
        self._withdrawals = withdrawals
        self._audit = audit
        self._refresh_lifetime = timedelta(seconds=refresh_seconds)
        self._now = now

    async def presented(self, form: Mapping[str, str], client: OAuthClient) -> Redemption | None:
        """What the client presents; a code or token that was used before ends the whole grant, and counts as none."""
        kind = form.get("grant_type")
        if kind == GrantType.AUTHORIZATION_CODE and form.get("code"):
            return await self._of_code(form["code"], client)
        if kind == GrantType.REFRESH_TOKEN and form.get("refresh_token"):
            return await self._of_refresh(form["refresh_token"], client)
        return None

    async def _of_code(self, code: str, client: OAuthClient) -> Redemption | None:
        grant = await self._shelf.of_code(digest_of(code))
        if grant is None or grant.client_id != client.client_id:
            return None
        if grant.is_code_used:
            await self._end(grant, "code_reused")
            return None
        is_good = grant.is_alive and grant.code_ends_at > self._now()
        return Redemption(grant, None, code) if is_good else None

    async def _of_refresh(self, token: str, client: OAuthClient) -> Redemption | None:
        found = await self._shelf.of_refresh(digest_of(token))
        if found is None or found.grant.client_id != client.client_id:
            return None
        if found.is_used:
            await self._end(found.grant, "refresh_token_reused")
            return None
        is_good = found.grant.is_alive and found.ends_at > self._now()
        return Redemption(found.grant, found, token) if is_good else None

    async def settle(self, redemption: Redemption) -> bool:
        """Make the grant's decision count; False when the code or token has been used or ended in between."""
        grant, claims = redemption.grant, redemption.claims
        if claims is None:
            # a code shown with a wrong verifier or address is in wrong hands, or will never be redeemed rightly
            if redemption.refresh_token is None:
                await self._shelf.use_code(grant.id, None)
            return False
        if redemption.refresh_token is None:
            is_first = await self._shelf.use_code(grant.id, redemption.key_thumbprint)
        else:
            is_first = await self._shelf.use_refresh(digest_of(redemption.presented))
        if not is_first:
            await self._end(grant, "used_twice_at_once")
            return False
        refresh = None
        if redemption.refresh is not None:
            refresh = (digest_of(redemption.refresh), min(self._now() + self._refresh_lifetime, grant.ends_at))
        return await self._shelf.issued(grant.id, claims.jti, datetime.fromtimestamp(claims.expires_at, UTC), refresh)

    async def revoke(self, token: str, client: OAuthClient) -> None:
        """RFC 7009 for refresh tokens: the grant ends with all its tokens; nothing happens to other clients' tokens."""
        found = await self._shelf.of_refresh(digest_of(token))
        if found is not None and found.grant.client_id == client.client_id:
            await self._end(found.grant, "revoked_by_client")

    async def introspect(self, token: str, client: OAuthClient) -> dict[str, Any]:
        """RFC 7662 for refresh tokens, told to the client that holds them only."""
        found = await self._shelf.of_refresh(digest_of(token))
        if found is None or found.grant.client_id != client.client_id:
            return {"active": False}
        grant = found.grant
        if found.is_used or not grant.is_alive or found.ends_at <= self._now():
            return {"active": False}
        return {
            "active": True,
            "client_id": grant.client_id,
            "sub": grant.person.subject,
            "tenant": grant.person.tenant,
            "scope": " ".join(sorted(grant.scopes)),
            "iat": int(found.issued_at.timestamp()),
            "exp": int(found.ends_at.timestamp()),
            "sid": grant.session_id,
        }

    async def _end(self, grant: Grant, reason: str) -> None:
        if reason != "revoked_by_client":
            _reuses.labels(reason).inc()
        for issued in await self._shelf.end(grant.id, reason):
            await self._withdrawals.withdraw("token", issued.jti, reason=reason)
        self._audit(
            {
                "event": "grant_ended",
                "reason": reason,
                "grant": grant.id,
                "client_id": grant.client_id,
                "person": grant.person.name,
                "subject": grant.person.subject,
                "tenant": grant.person.tenant,
                "session": grant.session_id,
            }
        )


def new_refresh_token() -> str:
    """A fresh refresh token; its mark tells it from an access token at a glance."""
    return f"{REFRESH_MARK}{secrets.token_urlsafe(32)}"
