"""Client secrets: hashed with argon2 away from the event loop, remembered briefly, throttled when they fail."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

REMEMBERED_SECONDS = 300.0
REMEMBERED_AT_MOST = 2048


class SecretKeeper:
    """Hashes and checks secrets.

    Argon2 costs some 20 ms and 19 MiB by design, so at most two run at once, in threads. A secret that was right is
    remembered for five minutes as a keyed digest (never itself) bound to the stored hash, so a new one counts at once.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, remembered: float = REMEMBERED_SECONDS) -> None:
        # second recommendation of the OWASP password storage sheet: 19 MiB, two passes, one lane
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pepper = os.urandom(32)
        self._clock = clock
        self._remembered = remembered
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._threads = CapacityLimiter(2)
        self._decoy: str | None = None

    async def hashed(self, secret: str) -> str:
        """The argon2id hash to store."""
        return await to_thread.run_sync(self._hasher.hash, secret, limiter=self._threads)

    async def matches(self, client_id: str, secret: str, hashes: Sequence[str]) -> bool:
        """Whether the secret is one of those hashed."""
        for stored in hashes:
            digest = self._digest(client_id, secret, stored)
            if self._right.get(digest, 0.0) > self._clock():
                return True
            if await to_thread.run_sync(self._verify, stored, secret, limiter=self._threads):
                self._remember(digest)
                return True
        return False

    def knows(self, client_id: str, secret: str, hashes: Sequence[str]) -> bool:
        """Whether this secret was found right a short while ago; costs no hashing."""
        now = self._clock()
        return any(self._right.get(self._digest(client_id, secret, stored), 0.0) > now for stored in hashes)

    async def pretend(self, secret: str) -> None:
        """Spend the time of a check for a client that does not exist, so that the answer's delay tells nothing."""
        if self._decoy is None:
            self._decoy = await self.hashed(os.urandom(16).hex())
        await to_thread.run_sync(self._verify, self._decoy, secret, limiter=self._threads)

    def _verify(self, stored: str, secret: str) -> bool:
        try:
            return self._hasher.verify(stored, secret)
        except (VerificationError, InvalidHashError):
            return False

    def _digest(self, client_id: str, secret: str, stored: str) -> bytes:
        return hmac.digest(self._pepper, f"{client_id}\x1f{stored}\x1f{secret}".encode(), hashlib.sha256)

    def _remember(self, digest: bytes) -> None:
        self._right[digest] = self._clock() + self._remembered
        self._right.move_to_end(digest)
        while len(self._right) > REMEMBERED_AT_MOST:
            self._right.popitem(last=False)


class FailureThrottle:
    """Counts failed secrets per client and caller's address; a secret known to be right is not held up by it."""

    def __init__(self, counters_url: str, *, failures_per_minute: int = 10) -> None:
        storage = storage_from_string(counters_url if counters_url.startswith("async+") else f"async+{counters_url}")
        if not isinstance(storage, Storage):
            raise TypeError(f"counters_url {counters_url.split('://', 1)[0]}:// has no asynchronous store")
        self._limiter = MovingWindowRateLimiter(storage)
        self._limit = RateLimitItemPerMinute(failures_per_minute)

    async def wait(self, client_id: str, address: str) -> float:
        """Seconds until this caller may try again; 0: now."""
        if await self._limiter.test(self._limit, "secret", client_id, address):
            return 0.0
        window = await self._limiter.get_window_stats(self._limit, "secret", client_id, address)
        return max(1.0, window.reset_time - time.time())

    async def failed(self, client_id: str, address: str) -> None:
        """Count one failure."""
        await self._limiter.hit(self._limit, "secret", client_id, address)
