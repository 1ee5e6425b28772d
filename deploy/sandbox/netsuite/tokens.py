"""The account's door: signed assertions in, bearer tokens out; no record may enter."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters, OctKey, RSAKey

ALGORITHMS = ["PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION = 3600
CLOCK_SKEW = 60


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate mapped to an integration record: whose it is, and the public key as PEM."""

    client_id: str
    public_key: str


@dataclass(frozen=True, slots=True)
class MachineCredentials:
    """What an integrator holds: the private key (PEM) never leaves its side."""

    client_id: str
    certificate_id: str
    private_key: str = field(repr=False)
    certificate: Certificate


def new_credentials(client_id: str = "throughline-sandbox") -> MachineCredentials:
    """A fresh key pair (P-256) with a made-up certificate id, as an administrator's mapping would give."""
    parameters: KeyParameters = {"use": "sig", "alg": "ES256"}
    key = ECKey.generate_key("P-256", parameters)
    certificate = Certificate(client_id, key.as_pem(private=False).decode())
    return MachineCredentials(client_id, secrets.token_urlsafe(24), key.as_pem(private=True).decode(), certificate)


class TokenRefused(Exception):
    """The OAuth error of the token endpoint."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.document = {"error": error, "error_description": description}


class Door:
    """Verifies assertions and knows the sessions."""

    def __init__(self, certificates: Mapping[str, Certificate]) -> None:
        self.certificates = dict(certificates)
        self.token_seconds = 3600
        self._sessions: dict[str, float] = {}
        self._seal = OctKey.generate_key(256)
        self._keys: dict[str, RSAKey | ECKey] = {}

    def expire(self) -> None:
        """Every session is over."""
        self._sessions.clear()

    def admits(self, authorization: str) -> bool:
        """Whether the Authorization header carries a living bearer token."""
        scheme, _, token = authorization.partition(" ")
        until = self._sessions.get(token)
        return scheme.lower() == "bearer" and until is not None and until > time.time()

    def open(self, form: Mapping[str, str], token_url: str) -> dict[str, str]:
        """A session for a good assertion. Raises TokenRefused."""
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise TokenRefused("invalid_request", "client_assertion_type is not jwt-bearer")
        client_id = self._verified(form.get("client_assertion", ""), token_url)
        now = time.time()
        claims = {"sub": client_id, "aud": token_url, "exp": int(now) + self.token_seconds, "jti": secrets.token_hex(8)}
        token = jwt.encode({"alg": "HS256", "kid": "s"}, claims, self._seal)
        self._sessions = {kept: until for kept, until in self._sessions.items() if until > now}
        self._sessions[token] = now + self.token_seconds
        return {"access_token": token, "expires_in": str(self.token_seconds), "token_type": "Bearer"}

    def _verified(self, assertion: str, token_url: str) -> str:
        try:
            token = jwt.decode(assertion, self._key_of, algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefused("invalid_grant", f"the assertion cannot be verified: {error}") from error
        claims: dict[str, Any] = token.claims
        certificate = self.certificates[str(token.header["kid"])]
        issued, expires = claims.get("iat"), claims.get("exp")
        if claims.get("iss") != certificate.client_id:
            raise TokenRefused("invalid_grant", "iss is not the integration the certificate is mapped to")
        if claims.get("aud") != token_url and claims.get("aud") != [token_url]:
            raise TokenRefused("invalid_grant", "aud is not the token endpoint of this account")
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise TokenRefused("invalid_grant", "iat and exp are whole seconds")
        now = time.time()
        if issued > now + CLOCK_SKEW or expires <= now or not 0 < expires - issued < LONGEST_ASSERTION:
            raise TokenRefused("invalid_grant", "the assertion is not valid now, or for an hour or longer")
        scope: Any = claims.get("scope")
        scopes = scope.replace(",", " ").split() if isinstance(scope, str) else list(scope or ())
        if "rest_webservices" not in scopes:
            raise TokenRefused("invalid_scope", "scope must contain rest_webservices")
        return certificate.client_id

    def _key_of(self, token: Any) -> RSAKey | ECKey:
        number = str(token.headers().get("kid", ""))
        certificate = self.certificates.get(number)
        if certificate is None:
            raise ValueError("kid names no certificate")
        key = self._keys.get(number)
        if key is None:
            key = self._keys[number] = _public(certificate.public_key)
        return key


def _public(pem: str) -> RSAKey | ECKey:
    loaded = load_pem_public_key(pem.encode())
    return ECKey.import_key(pem) if isinstance(loaded, EllipticCurvePublicKey) else RSAKey.import_key(pem)
