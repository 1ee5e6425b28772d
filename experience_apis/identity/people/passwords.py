"""What a password must be, and its hash; length and rarity count, composition does not."""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import pairwise

from experience_apis.identity.credentials import SecretKeeper

LEAST = 12
MOST = 200
_LEAST_DISTINCT = 5


class PasswordFault(StrEnum):
    """Why a password is not taken."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_COMMON = "too_common"
    NAMES_THE_PERSON = "names_the_person"


def password_fault(password: str, *, name: str) -> PasswordFault | None:
    """Why this password is not taken for this person; None: it is."""
    plain = _plain(password)
    if len(plain) < LEAST:
        return PasswordFault.TOO_SHORT
    if len(plain) > MOST:
        return PasswordFault.TOO_LONG
    folded = plain.casefold()
    if folded in _commonest() or len(set(folded)) < _LEAST_DISTINCT or _runs_on(folded):
        return PasswordFault.TOO_COMMON
    if len(folded.replace(name.casefold(), "")) < LEAST // 2:
        return PasswordFault.NAMES_THE_PERSON
    return None


class PasswordKeeper:
    """Hashes and checks passwords of people; unlike clients' secrets they are never remembered."""

    def __init__(self) -> None:
        self._keeper = SecretKeeper(remembered=0.0)

    async def hashed(self, password: str) -> str:
        """The argon2id hash to store."""
        return await self._keeper.hashed(_plain(password))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one hashed; takes as long when there is no hash to compare with."""
        plain = _plain(password)[: MOST + 1]
        if not stored:
            await self._keeper.pretend(plain)
            return False
        return await self._keeper.matches("", plain, (stored,))


def _plain(password: str) -> str:
    # the same characters typed on another keyboard are the same password (RFC 8265, OpaqueString)
    return unicodedata.normalize("NFC", password)


def _runs_on(folded: str) -> bool:
    """Whether each character follows its neighbour: abcdefghijkl, 210987654321."""
    steps = {ord(after) - ord(before) for before, after in pairwise(folded)}
    return steps <= {1, -9} or steps <= {-1, 9}


@cache
def _commonest() -> frozenset[str]:
    text = files("experience_apis.identity.people").joinpath("commonest_passwords.txt").read_text("utf-8")
    return frozenset(line.strip().casefold() for line in text.splitlines() if line.strip())
