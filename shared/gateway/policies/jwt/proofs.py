"""Proofs of possession (RFC 9449): a signed note about this one request; keys and request facts enter."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.jws import extract_compact

from shared.errors.taxonomy import FieldFinding, NotAuthenticated
from shared.persistence.once import Once, UsedIdsUnknown

_LONGEST = 4096
_LONGEST_ID = 256
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class InvalidProof(NotAuthenticated):
    """The DPoP proof is missing, or does not prove possession of the key for this request."""

    code = "invalid_dpop_proof"
    sentence = "A valid DPoP proof is required."


def _refused(reason: str) -> InvalidProof:
    return InvalidProof(reason, findings=[FieldFinding("header.dpop", reason)])


class Proofs:
    """Checks DPoP proofs; each counts once."""

    def __init__(
        self,
        used: Once,
        *,
        algorithms: Sequence[str],
        seconds: int,
        admits_when_unknown: bool,
        now: Callable[[], float],
    ) -> None:
        """`admits_when_unknown`: take the risk of a replay while the store of used proofs cannot be asked."""
        self._used = used
        self._algorithms = list(algorithms)
        self._seconds = seconds
        self._admits_when_unknown = admits_when_unknown
        self._now = now

    async def key_of(self, proof: bytes, *, method: str, address: str, token: str | None = None) -> str:
        """The thumbprint (RFC 7638) of the key that is proven, for this request and, if given, this token.

        Raises: InvalidProof with the reason; UsedIdsUnknown.
        """
        header = _header(proof)
        if str(header.get("typ", "")).lower() != "dpop+jwt":
            raise _refused("The DPoP proof is not of type dpop+jwt.")
        if header.get("alg") not in self._algorithms:
            raise _refused("The DPoP proof is signed with an algorithm that does not count here.")
        if "crit" in header:
            raise _refused("The DPoP proof's header asks for something that is not understood here.")
        key = _public_key(header.get("jwk"))
        try:
            said = jwt.decode(proof, key, algorithms=[header["alg"]]).claims
        except (JoseError, ValueError, TypeError) as error:
            raise _refused("The signature of the DPoP proof does not hold.") from error
        self._fits(said, method=method, address=address, token=token)
        thumbprint = key.thumbprint()
        try:
            is_first = await self._used.is_first("dpop", f"{thumbprint}\x1f{said['jti']}", seconds=2 * self._seconds)
        except UsedIdsUnknown:
            if not self._admits_when_unknown:
                raise
            is_first = True
        if not is_first:
            raise _refused("The DPoP proof was used before.")
        return thumbprint

    def _fits(self, said: dict[str, Any], *, method: str, address: str, token: str | None) -> None:
        jti, issued_at = said.get("jti"), said.get("iat")
        if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_ID:
            raise _refused("The DPoP proof has no usable jti.")
        if said.get("htm") != method:
            raise _refused("The DPoP proof is for another method.")
        if not isinstance(said.get("htu"), str) or target(said["htu"]) != target(address):
            raise _refused("The DPoP proof is for another address.")
        if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
            raise _refused("The DPoP proof does not say when it was made.")
        if abs(self._now() - issued_at) > self._seconds:
            raise _refused("The DPoP proof was not made just now.")
        if token is not None and said.get("ath") != _digest(token):
            raise _refused("The DPoP proof is for another access token.")


def target(address: str) -> tuple[str, str, int | None, str]:
    """An address without query and fragment, in the form in which two spellings of one are equal (RFC 3986 §6.2)."""
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower())
    except ValueError:
        return ("", "", None, address)
    return (parts.scheme.lower(), (parts.hostname or "").lower(), port, unquote(parts.path) or "/")


def _digest(token: str) -> str:
    return urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()


def _header(proof: bytes) -> dict[str, Any]:
    if len(proof) > _LONGEST:
        raise _refused("The DPoP proof is too long.")
    try:
        return extract_compact(proof).headers()
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise _refused("The DPoP proof cannot be read.") from error


def _public_key(jwk: Any) -> Key:
    if not isinstance(jwk, dict) or not _PRIVATE_MEMBERS.isdisjoint(cast("dict[str, Any]", jwk)):
        raise _refused("The DPoP proof does not carry a public key.")
    try:
        key = import_key(cast("Any", jwk))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refused("The key of the DPoP proof cannot be read.") from error
    if not isinstance(key, ECKey | OKPKey | RSAKey):
        raise _refused("The DPoP proof does not carry a public key.")
    return key
