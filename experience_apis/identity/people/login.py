"""Logging in: a name and a password become a person, slowly for whoever guesses; no page and no cookie in here."""

from __future__ import annotations

from dataclasses import dataclass

from experience_apis.identity.people.passwords import PasswordKeeper
from experience_apis.identity.people.records import AuditLine, Failures, People, Person
from shared.telemetry.metrics import counter

_logins = counter("throughline_experience_logins_total", ["outcome"], "Logins by outcome: ok, refused, throttled.")
_NAME_AT_MOST = 120


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures are free, and the longest wait: it doubles from one second with every failure beyond."""

    free: int
    longest: float


OF_AN_ACCOUNT = Patience(free=5, longest=900.0)
OF_AN_ADDRESS = Patience(free=20, longest=300.0)


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """Name or password are wrong, or nobody may try for `wait` seconds; it does not tell whether the name exists."""

    wait: float = 0.0


class LoginDesk:
    """Recognises people by name and password."""

    def __init__(
        self,
        people: People,
        failures: Failures,
        keeper: PasswordKeeper,
        audit: AuditLine,
        *,
        account: Patience = OF_AN_ACCOUNT,
        address: Patience = OF_AN_ADDRESS,
    ) -> None:
        self._people = people
        self._failures = failures
        self._keeper = keeper
        self._audit = audit
        self._account = account
        self._address = address

    async def login(self, name: str, password: str, address: str) -> Person | LoginRefused:
        """The person, or a refusal that reads and takes as long the same whatever was wrong."""
        name = name.strip().lower()[:_NAME_AT_MOST]
        wait = await self._failures.take(
            "address", address, free=self._address.free, longest=self._address.longest
        ) or await self._failures.take("account", name, free=self._account.free, longest=self._account.longest)
        if wait:
            return self._refused("throttled", None, address, wait)
        person = await self._people.find(name)
        is_right = await self._keeper.matches(password, person.password_hash if person else None)
        if person is None or not is_right or not person.is_enabled:
            return self._refused("refused", person, address, 0.0)
        await self._failures.forget("account", name)
        await self._failures.give_back("address", address)
        _logins.labels("ok").inc()
        return person

    async def is_password_of(self, person: Person, password: str) -> bool | LoginRefused:
        """Whether a person who is logged in knows the password; guesses count as they do at the door."""
        wait = await self._failures.take("account", person.name, free=self._account.free, longest=self._account.longest)
        if wait:
            return LoginRefused(wait)
        if not await self._keeper.matches(password, person.password_hash):
            return False
        await self._failures.forget("account", person.name)
        return True

    def _refused(self, outcome: str, person: Person | None, address: str, wait: float) -> LoginRefused:
        _logins.labels(outcome).inc()
        # what was typed is not told: people type their password where the name belongs
        self._audit(
            {
                "event": "login",
                "outcome": outcome,
                "person": person.name if person else None,
                "tenant": person.tenant if person else None,
                "address": address,
                "wait_seconds": round(wait),
            }
        )
        return LoginRefused(wait)
