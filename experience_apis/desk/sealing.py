"""Seals short secrets that must be read again (to sign with) before they go into the database; knows no database."""

from __future__ import annotations

import hashlib

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey


class TextSeal:
    """Encrypts a text (JWE, direct key, AES-256-GCM); `purpose` keeps one room's seals from opening another's."""

    def __init__(self, secret: str, purpose: str) -> None:
        digest = hashlib.sha256(f"throughline {purpose}\x1f{secret}".encode()).digest()
        self._key = OctKey.import_key(digest)

    def closed(self, content: str) -> str:
        """The text, sealed."""
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, content, self._key)

    def opened(self, sealed: str) -> str:
        """The text again; ValueError if this secret did not seal it."""
        try:
            content = jwe.decrypt_compact(sealed, self._key, algorithms=["dir", "A256GCM"]).plaintext
        except (JoseError, ValueError):
            raise ValueError("the sealing key does not open what is kept in the database") from None
        return (content or b"").decode()
