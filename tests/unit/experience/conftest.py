"""An issuer with everything real but its database, for tests of the experience tier."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from experience_apis.identity.assertions import Assertions
from experience_apis.identity.authority import OAuthReply
from experience_apis.identity.credentials import FailureThrottle, SecretKeeper
from experience_apis.identity.issuer import Issuer, OAuthCall, issuer_proofs
from experience_apis.identity.keys import KeyRing, Seal
from experience_apis.identity.providers import Providers
from experience_apis.identity.records import OAuthClient, SealedKey
from experience_apis.identity.roles import role_book
from experience_apis.identity.seeds import enrol
from experience_apis.identity.tokens import TokenPress
from shared.identity.revocations import RevocationList, TokenMarks, Withdrawn
from shared.outbound.guarded import AddressRules
from shared.persistence.once import OnceHere
from shared.serving.revocations import RevocationEntry, RevocationPage

ISSUER = "http://127.0.0.1:8103"
SECRETS = {
    "tier-process-2": "tier-experience-secret-01",
    "fiona": "fiona-secret-0123456789",
    "dan": "dan-secret-0123456789",
    "partner-demo": "partner-secret-0123456789",
    "tier-experience": "tier-experience-secret-01",
    "tier-process": "tier-process-secret-0123",
    "other-fiona": "other-tenant-secret-0123",
    "tier-system": "tier-system-secret-01234",
    "amy": "administrator-secret-0123",
    "devi": "developer-secret-0123456",
    "dora": "developer-secret-6543210",
    "other-amy": "other-admin-secret-01234",
}
SEEDS: dict[str, Any] = {
    "clients": [
        {"client_id": "fiona", "tenant": "harbour", "roles": ["finance_lead"], "subject": "fiona.berg"},
        {"client_id": "dan", "tenant": "harbour", "roles": ["delivery_lead"]},
        {"client_id": "partner-demo", "tenant": "harbour", "roles": ["partner"], "plan": "partner"},
        {
            "client_id": "tier-experience",
            "tenant": "harbour",
            "roles": ["experience_tier"],
            "plan": "internal",
            "audiences": ["throughline-process"],
            "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"],
            "acts_at": "throughline-experience",
        },
        {
            "client_id": "tier-process",
            "tenant": "harbour",
            "roles": ["process_tier"],
            "plan": "internal",
            "audiences": ["throughline-system", "throughline-experience"],
        },
        {"client_id": "tier-system", "tenant": "harbour", "roles": ["system_tier"], "plan": "internal"},
        {"client_id": "amy", "tenant": "harbour", "roles": ["administrator"]},
        {"client_id": "devi", "tenant": "harbour", "roles": ["developer"]},
        {"client_id": "dora", "tenant": "harbour", "roles": ["developer"]},
        {"client_id": "other-amy", "tenant": "other", "roles": ["administrator"]},
        {"client_id": "other-fiona", "tenant": "other", "roles": ["finance_lead"]},
    ]
}


# hashing costs by design: the seeds' secrets are hashed once for all tests of a process
_enrolling = SecretKeeper()
_enrolled: dict[str, OAuthClient] = {}


@dataclass
class MemoryRegister:
    """The issuer's memory without a database."""

    clients: dict[str, OAuthClient] = field(default_factory=dict)
    shelf: list[SealedKey] = field(default_factory=list)
    retired: set[str] = field(default_factory=set)

    async def client(self, client_id: str) -> OAuthClient | None:
        return self.clients.get(client_id)

    async def enrol(self, clients: Sequence[OAuthClient]) -> Sequence[str]:
        before, self.clients = self.clients, {client.client_id: client for client in clients}
        return sorted(set(before) - set(self.clients))

    async def keys(self) -> Sequence[SealedKey]:
        return tuple(key for key in self.shelf if key.kid not in self.retired)

    async def add_first_key(self, key: SealedKey) -> None:
        if not self.shelf:
            self.shelf.append(key)

    async def all_keys(self) -> Sequence[SealedKey]:
        return tuple(self.shelf)

    async def succeed_with(
        self, key: SealedKey, *, others_retire_at: datetime, unless_newer_than: datetime | None = None
    ) -> bool:
        if unless_newer_than is not None and self.shelf[-1].signs_from > unless_newer_than:
            return False
        self.shelf = [replace(one, retires_at=one.retires_at or others_retire_at) for one in self.shelf] + [key]
        return True

    async def retire(self, kid: str, *, reason: str) -> bool:
        del reason
        was_good = any(key.kid == kid for key in self.shelf) and kid not in self.retired
        self.retired.add(kid)
        return was_good


@dataclass
class MemoryRevocations:
    """What was withdrawn, without a database."""

    kept: RevocationList = field(default_factory=RevocationList)
    entries: list[RevocationEntry] = field(default_factory=list)

    async def withdraw(self, kind: str, value: str, **said: Any) -> None:
        until = said.get("until") or datetime.now(UTC) + timedelta(hours=2)
        entry = RevocationEntry(
            kind=Withdrawn(kind),
            value=value,
            tenant=said.get("tenant", "") if kind == "subject" else "",
            before=until.timestamp(),
            until=until.timestamp(),
        )
        self.entries.append(entry)
        self.kept.take([entry.revocation()], now=0.0)

    async def covers(self, marks: TokenMarks) -> bool:
        return self.kept.covers(marks)

    async def read(self, cursor: str = "0", *, limit: int = 500) -> RevocationPage:
        shown = self.entries[int(cursor) :][:limit]
        return RevocationPage(items=shown, next_cursor=str(int(cursor) + len(shown)))


class NoGrants:
    """No portal has asked for anything."""

    async def presented(self, _form: Any, _client: Any) -> None:
        return None


@dataclass
class House:
    """The issuer and the hands to use it with."""

    issuer: Issuer
    register: MemoryRegister
    keys: KeyRing
    keeper: SecretKeeper
    clock: list[float]
    revocations: MemoryRevocations

    async def token(self, client: str, secret: str | None = None, **form: str) -> OAuthReply:
        """Ask for a token by HTTP Basic; client credentials unless another grant is named."""
        form.setdefault("grant_type", "client_credentials")
        return await self.issuer.token(self.call(client, secret, list(form.items())))

    async def access_token(self, client: str, **form: str) -> str:
        """A token, for sure."""
        reply = await self.token(client, **form)
        assert reply.status == 200, reply.body
        return str(reply.body["access_token"])

    async def exchange(self, subject_token: str, actor: str = "tier-experience", **form: str) -> OAuthReply:
        """Trade a caller's token for one towards the inner tier."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": subject_token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": "throughline-process",
            **form,
        }
        return await self.token(actor, **form)

    def now(self) -> datetime:
        """The instant on the house's clock."""
        return datetime.fromtimestamp(self.clock[0], UTC)

    def call(self, client: str, secret: str | None, form: list[tuple[str, str]]) -> OAuthCall:
        """A call with HTTP Basic."""
        shown = base64.b64encode(f"{client}:{secret or SECRETS.get(client, '')}".encode()).decode()
        return OAuthCall(form=form, authorization=f"Basic {shown}", address="203.0.113.7")


@pytest.fixture
def clients_file(tmp_path: Path) -> Path:
    seeds = {"clients": [{**seed, "secret": SECRETS[seed["client_id"]]} for seed in SEEDS["clients"]]}
    path = tmp_path / "clients.yaml"
    path.write_text(yaml.safe_dump(seeds), "utf-8")
    return path


@pytest.fixture
async def house(clients_file: Path) -> House:
    clock = [datetime.now(UTC).timestamp()]
    register, keeper, book = MemoryRegister(), SecretKeeper(), role_book()
    revocations, used = MemoryRevocations(), OnceHere()
    keys = KeyRing(register, Seal("a sealing secret"), now=lambda: datetime.fromtimestamp(clock[0], UTC))
    await keys.open()
    register.clients = dict(_enrolled)
    await enrol(clients_file, register=register, keeper=_enrolling, book=book)
    _enrolled.update(register.clients)
    issuer = Issuer(
        press=TokenPress(ISSUER, lifetime=900, clock=lambda: clock[0]),
        register=register,
        keys=keys,
        keeper=keeper,
        throttle=FailureThrottle("memory://", failures_per_minute=3),
        book=book,
        revocations=cast("Any", revocations),
        assertions=Assertions(
            used, AddressRules(), audiences=(ISSUER, f"{ISSUER}/oauth/token"), clock=lambda: clock[0]
        ),
        proofs=issuer_proofs(used),
        providers=Providers((), book, audience="throughline-experience"),
        grants=cast("Any", NoGrants()),
    )
    return House(issuer, register, keys, keeper, clock, revocations)
