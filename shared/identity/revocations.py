"""Which tokens have been withdrawn, as a tier knows it: entries of the issuer's feed enter, no HTTP and no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import inf


class Withdrawn(StrEnum):
    """What an entry of the feed takes back: one token, or all of a client, a person, a session or a signing key."""

    TOKEN = "token"  # noqa: S105 - a kind of entry, no secret
    CLIENT = "client"
    SUBJECT = "subject"
    SESSION = "session"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry: tokens of that kind and value issued at or before `before` no longer count.

    `until` is when the last of them has ended by itself, so that the entry may be forgotten. Instants are Unix seconds.
    `tenant` stands with a subject, whose name is unique in its tenant only.
    """

    kind: Withdrawn
    value: str
    before: float
    until: float
    tenant: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What the entry is found by."""
        return (self.kind, self.tenant if self.kind is Withdrawn.SUBJECT else "", self.value)


@dataclass(frozen=True, slots=True)
class TokenMarks:
    """By what a token can be withdrawn; `origin_*` are those of the token it was exchanged for."""

    jti: str
    client_id: str
    tenant: str
    subject: str
    issued_at: float
    kid: str = ""
    session: str | None = None
    origin_jti: str | None = None
    origin_client: str | None = None

    def named(self) -> list[tuple[str, str, str]]:
        """Every key an entry against this token may have."""
        keys = [
            (Withdrawn.TOKEN, "", self.jti),
            (Withdrawn.CLIENT, "", self.client_id),
            (Withdrawn.SUBJECT, self.tenant, self.subject),
            (Withdrawn.KEY, "", self.kid),
        ]
        if self.session is not None:
            keys.append((Withdrawn.SESSION, "", self.session))
        if self.origin_jti is not None:
            keys.append((Withdrawn.TOKEN, "", self.origin_jti))
        if self.origin_client is not None:
            keys.append((Withdrawn.CLIENT, "", self.origin_client))
        return [(str(kind), tenant, value) for kind, tenant, value in keys]


class RevocationList:
    """What has been withdrawn so far.

    `generation` grows whenever an entry is added: whoever remembers verified tokens looks them over again then.
    `confirmed_at` is when the issuer was last heard; a list that nobody keeps is never stale.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.keys_withdrawn = 0
        self.confirmed_at = inf
        self._entries: dict[tuple[str, str, str], Revocation] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def is_kept_since(self, now: float) -> None:
        """From now on somebody keeps the list; it grows stale when the issuer is not heard."""
        self.confirmed_at = now

    def take(self, entries: Iterable[Revocation], *, now: float) -> None:
        """Add what the issuer told just now. Repeat: no effect."""
        added = False
        for entry in entries:
            known = self._entries.get(entry.key)
            if known is None or known.before < entry.before:
                until = max(entry.until, known.until if known else 0.0)
                self._entries[entry.key] = Revocation(entry.kind, entry.value, entry.before, until, entry.tenant)
                added = True
                self.keys_withdrawn += entry.kind is Withdrawn.KEY
        if added:
            self.generation += 1
        self.confirmed_at = now

    def forget_ended(self, now: float) -> None:
        """Drop entries whose tokens have all ended."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.until > now}

    def covers(self, marks: TokenMarks) -> bool:
        """Whether the token has been withdrawn."""
        if not self._entries:
            return False
        found = (self._entries.get(key) for key in marks.named())
        return any(entry is not None and marks.issued_at <= entry.before for entry in found)
