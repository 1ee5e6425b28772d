"""The OAuth clients of an embedded installation: people of the sample firm, and the tiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

TENANT = "harbour"
SYSTEM_AUDIENCE = "throughline-system"
PROCESS_AUDIENCE = "throughline-process"
EXPERIENCE_AUDIENCE = "throughline-experience"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@dataclass(frozen=True, slots=True)
class DemoClient:
    """An OAuth client and what it may do; `is_demo`: shown in run.json for people to try."""

    client_id: str
    name: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = (EXPERIENCE_AUDIENCE,)
    exchanges_at: str | None = None
    plan: str = "internal"
    is_demo: bool = True

    def seed(self, secret: str) -> dict[str, Any]:
        """The client as the issuer's clients file wants it."""
        seed: dict[str, Any] = {
            "client_id": self.client_id,
            "name": self.name,
            "tenant": TENANT,
            "plan": self.plan,
            "roles": list(self.roles),
            "scopes": list(self.scopes),
            "audiences": list(self.audiences),
            "secret": secret,
        }
        if self.exchanges_at:
            seed |= {"acts_at": self.exchanges_at, "grant_types": [_EXCHANGE]}
        return seed


CLIENTS = (
    DemoClient("pmo-paul", "Paul, delivery office", ("pmo",)),
    DemoClient("dan", "Dan, delivery lead", ("delivery_lead",)),
    DemoClient("fiona", "Fiona, finance lead", ("finance_lead",)),
    DemoClient("olga", "Olga, operations", ("operator",)),
    DemoClient("alex", "Alex, account manager", ("account_manager",)),
    DemoClient("partner-demo", "A delivery partner's system", ("partner",), plan="partner"),
    DemoClient(
        "sandbox-operator",
        "The sandbox's operator: asks connectors to poll",
        scopes=("intake.write", "connectors.read"),
        audiences=(SYSTEM_AUDIENCE,),
    ),
    DemoClient(
        "tier-process",
        "The process tier towards the system tier",
        ("process_tier",),
        audiences=(SYSTEM_AUDIENCE, EXPERIENCE_AUDIENCE),
        is_demo=False,
    ),
    DemoClient(
        "tier-system",
        "The system tier towards the issuer",
        ("system_tier",),
        is_demo=False,
    ),
    DemoClient(
        "tier-experience",
        "The experience tier on behalf of its callers",
        ("experience_tier",),
        audiences=(PROCESS_AUDIENCE,),
        exchanges_at=EXPERIENCE_AUDIENCE,
        is_demo=False,
    ),
)
CLIENT_IDS = tuple(client.client_id for client in CLIENTS)


def clients_document(secrets: Mapping[str, str]) -> str:
    """The clients file with these secrets."""
    seeds = [client.seed(secrets[client.client_id]) for client in CLIENTS]
    return yaml.safe_dump({"clients": seeds}, sort_keys=False, allow_unicode=True)
