"""ID tokens of OpenID Connect: what a portal is told about the person who logged in."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from experience_apis.identity.codes.records import Grant
from experience_apis.identity.keys import ALGORITHM, SigningKey
from experience_apis.identity.people.records import Person

LIFETIME = 300


def id_token(
    key: SigningKey,
    *,
    issuer: str,
    grant: Grant,
    scopes: frozenset[str],
    access_token: str,
    nonce: str | None,
    clock: Callable[[], float] = time.time,
) -> str:
    """The signed ID token; `nonce` as the portal sent it, at the first answer only."""
    now = int(clock())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "auth_time": int(grant.auth_time.timestamp()),
        "amr": ["pwd"],
        "sid": grant.session_id,
        "at_hash": _half_hash(access_token),
        **person_claims(grant.person, scopes),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, claims, key.key, algorithms=[ALGORITHM])


def client_of_hint(hint: str, keys: KeySet, *, issuer: str) -> str | None:
    """The client an ID token of ours was made for, be it past its time; None for any other text."""
    try:
        found = jwt.decode(hint, keys, algorithms=[ALGORITHM])
    except (JoseError, ValueError):
        return None
    audience = found.claims.get("aud")
    is_ours = found.claims.get("iss") == issuer and found.header.get("typ") == "JWT"
    return audience if is_ours and isinstance(audience, str) else None


def person_claims(person: Person, scopes: frozenset[str]) -> dict[str, Any]:
    """What these scopes tell of the person."""
    claims: dict[str, Any] = {"sub": person.subject, "tenant": person.tenant}
    if "profile" in scopes:
        claims |= {"name": person.full_name, "preferred_username": person.name, "roles": sorted(person.roles)}
        if person.language is not None:
            claims["locale"] = person.language
    if "email" in scopes and person.email is not None:
        claims["email"] = person.email
    return claims


def _half_hash(token: str) -> str:
    half = hashlib.sha256(token.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()
