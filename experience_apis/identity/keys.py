"""Signing keys: made once, sealed at rest, several at a time so that a new one can be announced before it signs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey

from experience_apis.identity.records import Register, SealedKey

ALGORITHM = "ES256"
ANNOUNCED_BEFORE = timedelta(minutes=15)
KEPT_AFTER = timedelta(hours=2)
REREAD_AFTER = timedelta(seconds=60)


def sealing_secret(configured: str | None, file: Path) -> str:
    """The secret that seals private keys: as configured, else from a file only its owner may read, made if missing."""
    if configured:
        return configured
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text("ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        secret = base64.urlsafe_b64encode(os.urandom(32)).decode()
        opened.write(secret)
    return secret


class Seal:
    """Encrypts private keys for the database (JWE, direct key, AES-256-GCM)."""

    def __init__(self, secret: str) -> None:
        digest = hashlib.sha256(b"throughline signing keys\x1f" + secret.encode()).digest()
        self._key = OctKey.import_key(digest)

    def closed(self, key: ECKey) -> str:
        """The private key, sealed."""
        content = json.dumps(key.as_dict(private=True))
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, content, self._key)

    def opened(self, sealed: str) -> ECKey:
        """The private key again; ValueError if this secret did not seal it."""
        try:
            content = jwe.decrypt_compact(sealed, self._key, algorithms=["dir", "A256GCM"]).plaintext
        except (JoseError, ValueError):
            raise ValueError("sealing_key: does not open the signing keys kept in the database") from None
        return ECKey.import_key(json.loads(content or b"{}"))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs now."""

    kid: str
    key: ECKey


class KeyRing:
    """All keys that count: every one verifies, the newest whose time has come signs."""

    def __init__(
        self, register: Register, seal: Seal, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._register = register
        self._seal = seal
        self._now = now
        self._read_at: datetime | None = None
        self._kept: Sequence[SealedKey] = ()
        self._opened: dict[str, ECKey] = {}

    async def open(self) -> None:
        """Read the keys, making the first one at the very first start."""
        if not await self._register.keys():
            await self._register.add_first_key(self._new(self._now()))
        await self._read()

    async def rotate(self) -> str:
        """Announce a new key that signs after a while; the others go on verifying until their tokens are gone."""
        fresh = self._new(self._now() + ANNOUNCED_BEFORE)
        await self._register.succeed_with(fresh, others_retire_at=fresh.signs_from + KEPT_AFTER)
        await self._read()
        return fresh.kid

    async def current(self) -> SigningKey:
        """The key to sign with."""
        await self._reread()
        ready = [kept for kept in self._kept if kept.signs_from <= self._now()]
        newest = (ready or list(self._kept))[-1]
        return SigningKey(kid=newest.kid, key=self._opened[newest.kid])

    async def verifying(self) -> KeySet:
        """The public halves, to verify with."""
        return KeySet.import_key_set({"keys": (await self.published())["keys"]})

    async def published(self) -> dict[str, list[dict[str, Any]]]:
        """The JWK Set that everybody may read."""
        await self._reread()
        return {"keys": [dict(kept.public) for kept in self._kept]}

    def _new(self, signs_from: datetime) -> SealedKey:
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, private=True)
        kid = key.thumbprint()
        return SealedKey(
            kid=kid,
            algorithm=ALGORITHM,
            public={**key.as_dict(private=False), "kid": kid},
            sealed=self._seal.closed(key),
            signs_from=signs_from,
        )

    async def _reread(self) -> None:
        if self._read_at is None or self._now() - self._read_at > REREAD_AFTER:
            await self._read()

    async def _read(self) -> None:
        self._kept = await self._register.keys()
        self._opened = {kept.kid: self._opened.get(kept.kid) or self._seal.opened(kept.sealed) for kept in self._kept}
        self._read_at = self._now()
