"""The issuer's signing keys as last fetched; knows when to ask again, not how."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Callable
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, OctKey

from shared.errors.taxonomy import PlatformError, VendorUnavailable
from shared.gateway.supplies import Line
from shared.identity.trust import KeySource

_STALE_AFTER = 300.0
_PAUSE_WITHOUT_KEYS = 1.0


class IssuerKeys:
    """A cache of the JWK set, asked again when old or when a token names an unknown key."""

    def __init__(self, source: KeySource, *, pause: float, now: Callable[[], float], warn: Line) -> None:
        """`pause` is the least number of seconds between two fetches, whoever sends unknown key ids."""
        self._source = source
        self._pause = pause
        self._now = now
        self._warn = warn
        self._keys: dict[str, Key] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._lock = Lock()

    def known(self, kid: str) -> Key | None:
        """The key of that id if it is at hand and not too old to trust."""
        return self._keys.get(kid) if self._now() - self._fetched_at < _STALE_AFTER else None

    def expect_change(self) -> None:
        """A key was withdrawn, so another will sign: the next unknown one is asked for without a pause."""
        self._tried_at = float("-inf")

    async def find(self, kid: str) -> Key | None:
        """The key of that id, asking the issuer when it is unknown or stale and the pause is over.

        Raises: VendorUnavailable when no key was ever fetched and the issuer cannot be reached.
        """
        async with self._lock:
            if (key := self.known(kid)) is not None:
                return key
            pause = self._pause if self._keys else min(self._pause, _PAUSE_WITHOUT_KEYS)
            if self._now() - self._tried_at >= pause:
                await self._fetch()
            elif not self._keys:
                raise VendorUnavailable("The issuer of access tokens cannot be reached.", retry_after=5)
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        self._tried_at = self._now()
        try:
            fetched = KeySet.import_key_set(cast("Any", await self._source()))
        except PlatformError as error:
            self._warn({"event": "issuer keys cannot be fetched", "reason": error.message})
            if not self._keys:
                raise VendorUnavailable("The issuer of access tokens cannot be reached.", retry_after=5) from error
        except (JoseError, KeyError, TypeError, ValueError) as error:
            self._warn({"event": "issuer keys cannot be read", "reason": type(error).__name__})
            if not self._keys:
                raise VendorUnavailable("The issuer's keys cannot be read.", retry_after=5) from error
        else:
            self._keys = {key.kid: key for key in fetched.keys if key.kid and _signs(key)}
            self._fetched_at = self._tried_at


def _signs(key: Key) -> bool:
    """A shared secret or a key for encryption never verifies a token, whoever publishes it."""
    return not isinstance(key, OctKey) and key.as_dict(private=False).get("use", "sig") == "sig"
