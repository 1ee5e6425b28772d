"""An issuer in a test's own process: signs access tokens and hands out its keys."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER = "http://issuer.test"
AUDIENCE = "throughline-process"


class TestIssuer:
    """Signs what it is asked to."""

    __test__ = False

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", parameters={"kid": "test", "use": "sig", "alg": "ES256"})

    async def keys(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def token(self, who: str, *, tenant: str, scope: str) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": who,
            "client_id": who,
            "aud": [AUDIENCE],
            "iat": now,
            "exp": now + 3000,
            "jti": uuid4().hex,
            "scope": scope,
            "tenant": tenant,
            "plan": "internal",
        }
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "test"}, claims, self._key)
