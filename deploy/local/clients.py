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
PEOPLES_ROLES = (
    "pmo",
    "delivery_lead",
    "finance_lead",
    "account_manager",
    "operator",
    "customer",
    "developer",
    "administrator",
)


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
    returns_to: tuple[str, ...] = ()
    is_public: bool = False
    is_first_party: bool = False

    def seed(self, secret: str, issuer: str) -> dict[str, Any]:
        """The client as the issuer's clients file wants it; `returns_to` may name paths of the issuer."""
        seed: dict[str, Any] = {
            "client_id": self.client_id,
            "name": self.name,
            "tenant": TENANT,
            "plan": self.plan,
            "roles": list(self.roles),
            "scopes": list(self.scopes),
            "audiences": list(self.audiences),
        }
        if not self.is_public:
            seed["secret"] = secret
        if self.returns_to:
            addresses = [one if "://" in one else f"{issuer}{one}" for one in self.returns_to]
            seed |= {
                "grant_types": ["authorization_code", "refresh_token"],
                "redirect_uris": addresses,
                "logout_uris": addresses,
                "is_public": self.is_public,
                "is_first_party": self.is_first_party,
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
        scopes=("intake.write", "connectors.read", "crm.read"),
        audiences=(SYSTEM_AUDIENCE,),
    ),
    DemoClient(
        "developer-portal",
        "Developer portal",
        PEOPLES_ROLES,
        is_demo=False,
        returns_to=("/developer/callback",),
        is_public=True,
        is_first_party=True,
    ),
    DemoClient(
        "portal-demo",
        "A portal people log in through",
        PEOPLES_ROLES,
        returns_to=("http://127.0.0.1:8765/callback",),
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


def clients_document(secrets: Mapping[str, str], issuer: str) -> str:
    """The clients file with these secrets."""
    seeds = [client.seed(secrets[client.client_id], issuer) for client in CLIENTS]
    return yaml.safe_dump({"clients": seeds}, sort_keys=False, allow_unicode=True)
