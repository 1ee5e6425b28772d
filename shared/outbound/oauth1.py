"""OAuth 1.0a (RFC 5849): every request is signed with HMAC-SHA256, over its method, address and query."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote

import httpx

_METHOD: Final = "HMAC-SHA256"
_NONCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class OAuth1Signer:
    """Signs with a consumer's and a token's secret; bodies are not signed, so they must not be forms."""

    realm: str
    consumer_key: str
    consumer_secret: str = field(repr=False)
    token: str
    token_secret: str = field(repr=False)

    def sign(self, method: str, url: httpx.URL) -> dict[str, str]:
        """The Authorization header of this request, with the time now and a nonce of its own."""
        said = {
            "oauth_consumer_key": self.consumer_key,
            "oauth_token": self.token,
            "oauth_signature_method": _METHOD,
            "oauth_timestamp": str(int(time.time())),
            "oauth_nonce": secrets.token_hex(_NONCE_BYTES),
            "oauth_version": "1.0",
        }
        signed = {"realm": self.realm, **said, "oauth_signature": self._signature(method, url, said)}
        listed = ", ".join(f'{name}="{_encoded(value)}"' for name, value in signed.items())
        return {"Authorization": f"OAuth {listed}"}

    def _signature(self, method: str, url: httpx.URL, said: dict[str, str]) -> str:
        text = base_string(method, url, said)
        key = f"{_encoded(self.consumer_secret)}&{_encoded(self.token_secret)}"
        return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def base_string(method: str, url: httpx.URL, said: dict[str, str]) -> str:
    """What is signed: method, address without query, and the sorted parameters of header and query (RFC 5849 3.4.1)."""
    asked = parse_qsl(url.query.decode(), keep_blank_values=True)
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in (*said.items(), *asked))
    parameters = "&".join(f"{name}={value}" for name, value in pairs)
    path = url.raw_path.partition(b"?")[0].decode()
    address = f"{url.scheme}://{url.netloc.decode()}{path}"  # httpx has lowered the host and left out a default port
    return "&".join(_encoded(part) for part in (method.upper(), address, parameters))


def _encoded(text: str) -> str:
    return quote(text, safe="")
