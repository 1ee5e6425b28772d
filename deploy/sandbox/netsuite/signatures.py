"""Token based authentication at the account's door: every request carries its own OAuth 1.0a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote

ACCOUNT = "1234567_SB1"
WINDOW = 300
_DIGESTS = {"HMAC-SHA256": hashlib.sha256, "HMAC-SHA1": hashlib.sha1}
_REQUIRED = ("oauth_consumer_key", "oauth_token", "oauth_signature_method", "oauth_timestamp", "oauth_nonce")
_PARAMETER = re.compile(r'\s*([A-Za-z_]+)="([^"]*)"\s*')
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token and the integration record it was made for, each with the secret that is shown once."""

    consumer_key: str
    consumer_secret: str = field(repr=False)
    token_id: str
    token_secret: str = field(repr=False)


def new_token() -> AccessToken:
    """Fresh keys and secrets, 64 hexadecimal digits each as the vendor makes them."""
    return AccessToken(*(secrets.token_hex(32) for _ in range(4)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as it is signed: `address` is scheme, host and path as the client spelt them."""

    method: str
    address: str
    query: str
    authorization: str = field(repr=False)


class Signatures:
    """Knows the account's access tokens, checks signatures, and remembers which nonces are spent."""

    def __init__(self, tokens: Iterable[AccessToken], *, account: str = ACCOUNT) -> None:
        """`window`: how many seconds a timestamp may be off. `takes_sha1`: HMAC-SHA1 counts as well (until 2023.1)."""
        self.account = account
        self.window = WINDOW
        self.takes_sha1 = False
        self._spent: dict[int, set[tuple[str, str]]] = {}
        self.know(tokens)

    def know(self, tokens: Iterable[AccessToken]) -> None:
        """These access tokens count, and no others."""
        self._tokens = {token.token_id: token for token in tokens}

    def forget(self) -> None:
        """No nonce is spent any more."""
        self._spent.clear()

    def refusal(self, asked: Asked) -> str | None:
        """Why the request is not let in, in the words of the vendor's login audit trail; None: it is."""
        given = _parameters(asked.authorization)
        if given is None or not all(given.get(name) for name in (*_REQUIRED, "oauth_signature", "realm")):
            return "MissingTokenPassportRequiredFields"
        token = self._tokens.get(given["oauth_token"])
        wrong = self._unknown(given, token) or self._untimely(given["oauth_timestamp"])
        if wrong or token is None:
            return wrong
        expected = _signature(asked, given, token)
        if not hmac.compare_digest(expected.encode(), given["oauth_signature"].encode()):
            return "InvalidSignature"
        return self._repeated(int(given["oauth_timestamp"]), (token.token_id, given["oauth_nonce"]))

    def _unknown(self, given: dict[str, str], token: AccessToken | None) -> str | None:
        if given.get("oauth_version", "1.0") != "1.0":
            return "VersionRejected"
        method = given["oauth_signature_method"]
        if method not in _DIGESTS or (method == "HMAC-SHA1" and not self.takes_sha1):
            return "UnknownAlgorithm"
        if all(known.consumer_key != given["oauth_consumer_key"] for known in self._tokens.values()):
            return "consumer_key_unknown"
        if token is None or token.consumer_key != given["oauth_consumer_key"] or given["realm"] != self.account:
            return "token_rejected"
        return None

    def _untimely(self, timestamp: str) -> str | None:
        is_number = re.fullmatch(r"[0-9]{1,12}", timestamp) is not None
        return None if is_number and abs(time.time() - int(timestamp)) <= self.window else "InvalidTimestamp"

    def _repeated(self, timestamp: int, used: tuple[str, str]) -> str | None:
        horizon = time.time() - self.window
        for old in [moment for moment in self._spent if moment < horizon]:
            del self._spent[old]
        spent = self._spent.setdefault(timestamp, set())
        if used in spent:
            return "NonceUsed"
        spent.add(used)
        return None


def _parameters(authorization: str) -> dict[str, str] | None:
    """The header's parameters, decoded; None when it cannot be read or says something twice."""
    scheme, _, rest = authorization.partition(" ")
    found = [_PARAMETER.fullmatch(part) for part in rest.split(",")]
    given = {match[1]: unquote(match[2]) for match in found if match}
    return given if scheme.lower() == "oauth" and len(given) == len(found) else None


def _signature(asked: Asked, given: dict[str, str], token: AccessToken) -> str:
    signed = [(name, value) for name, value in given.items() if name not in {"realm", "oauth_signature"}]
    pairs = sorted(
        (_encoded(name), _encoded(value)) for name, value in (*signed, *parse_qsl(asked.query, keep_blank_values=True))
    )
    normal = "&".join(f"{name}={value}" for name, value in pairs)
    text = "&".join(_encoded(part) for part in (asked.method.upper(), _bare(asked.address), normal))
    key = f"{_encoded(token.consumer_secret)}&{_encoded(token.token_secret)}"
    digest = hmac.new(key.encode(), text.encode(), _DIGESTS[given["oauth_signature_method"]]).digest()
    return base64.b64encode(digest).decode()


def _bare(address: str) -> str:
    """Scheme and host in lower case, a default port left out."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    scheme, host = scheme.lower(), host.lower()
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}{slash or '/'}{path}"


def _encoded(text: str) -> str:
    """Percent-encoded as RFC 3986 has it: letters, digits, `-`, `.`, `_` and `~` stay."""
    return quote(text, safe="")
