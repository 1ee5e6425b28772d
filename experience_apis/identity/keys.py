"""Signing keys: made once, sealed at rest, several at a time so that a new one can be announced before it signs."""

from __future__ import annotations

import asyncio
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
from shared.errors.taxonomy import PlatformError
from shared.telemetry.logging import get_logger

_log = get_logger("throughline.identity")
ALGORITHM = "ES256"
ANNOUNCED_BEFORE = timedelta(minutes=15)
KEPT_AFTER = timedelta(hours=2)
LOOKED_AT_EVERY = timedelta(hours=1)
REREAD_AFTER = timedelta(seconds=1)


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


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key as operators see it: `announced`, `signing`, `verifying` (its tokens still count) or `retired`."""

    kid: str
    state: str
    signs_from: datetime
    retires_at: datetime | None


def _standing(kept: SealedKey, signing: str, now: datetime) -> str:
    if kept.retires_at is not None and kept.retires_at <= now:
        return "retired"
    if kept.kid == signing:
        return "signing"
    return "announced" if kept.signs_from > now else "verifying"


class KeyRing:
    """All keys that count: every one verifies; of those whose time has come the newest signs that does not retire."""

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

    async def rotate_if_older(self, age: timedelta) -> str | None:
        """Announce a new key when the newest has signed that long. Repeat, at any replica: no second key."""
        if not self._kept or max(kept.signs_from for kept in self._kept) > self._now() - age:
            return None
        fresh = self._new(self._now() + ANNOUNCED_BEFORE)
        was_kept = await self._register.succeed_with(
            fresh, others_retire_at=fresh.signs_from + KEPT_AFTER, unless_newer_than=self._now() - age
        )
        await self._read()
        return fresh.kid if was_kept else None

    async def revoke(self, kid: str, *, reason: str) -> bool:
        """Stop trusting a key at once, because it leaked; another signs from now on. False: no such key counts.

        Every token it signed ends with it; telling the tiers is the caller's part (`Revocations.withdraw`).
        """
        await self._read()
        # a key that retires, or one that is only announced, cannot take over for good
        stays = any(
            kept.kid != kid and kept.signs_from <= self._now() and kept.retires_at is None for kept in self._kept
        )
        if kid in self._opened and not stays:
            fresh = self._new(self._now())
            await self._register.succeed_with(fresh, others_retire_at=self._now() + KEPT_AFTER)
        was_good = await self._register.retire(kid, reason=reason)
        await self._read()
        return was_good

    async def listed(self) -> list[KeyFacts]:
        """All keys with where they stand, newest last; those retired lately too."""
        now = self._now()
        signing = (await self.current()).kid
        return [
            KeyFacts(kept.kid, _standing(kept, signing, now), kept.signs_from, kept.retires_at)
            for kept in await self._register.all_keys()
        ]

    async def current(self) -> SigningKey:
        """The key to sign with."""
        await self._reread()
        ready = [kept for kept in self._kept if kept.signs_from <= self._now()]
        staying = [kept for kept in ready if kept.retires_at is None]
        newest = (staying or ready or list(self._kept))[-1]
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


async def rotating(ring: KeyRing, age: timedelta, *, every: timedelta = LOOKED_AT_EVERY) -> None:
    """Announce new keys as the old ones come of age, until cancelled; an age of zero leaves it to operators."""
    while age:
        try:
            fresh = await ring.rotate_if_older(age)
        except PlatformError as error:
            _log.warning("key_not_rotated", reason=error.message)
        else:
            if fresh is not None:
                _log.info("key_announced", kid=fresh)
        await asyncio.sleep(every.total_seconds())
