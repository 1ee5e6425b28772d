"""The people of an embedded installation: those of the sample firm who log in, for everybody to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from deploy.local.clients import TENANT
from deploy.sandbox.salesforce.ids import make_id
from shared.canonical.references import canonical_id

# the sandbox numbers its accounts in the order the firm is loaded; this one has four deals
_CUSTOMER_OF_THE_SAMPLE_FIRM = canonical_id("customer", TENANT, "salesforce", make_id("001", 13))


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody of the sample firm; with the subject of a demo client, both are one person to approvals."""

    name: str
    full_name: str
    roles: tuple[str, ...]
    subject: str | None = None
    customers: tuple[str, ...] = ()

    def seed(self, password: str) -> dict[str, Any]:
        """The person as the issuer's users file wants it."""
        seed: dict[str, Any] = {
            "name": self.name,
            "full_name": self.full_name,
            "tenant": TENANT,
            "roles": list(self.roles),
            "password": password,
        }
        if self.subject:
            seed["subject"] = self.subject
        if self.customers:
            seed["customers"] = list(self.customers)
        return seed


PEOPLE = (
    DemoPerson("paul", "Paul, delivery office", ("pmo",), subject="pmo-paul"),
    DemoPerson("dan", "Dan, delivery lead", ("delivery_lead",)),
    DemoPerson("fiona", "Fiona, finance lead", ("finance_lead",)),
    DemoPerson("olga", "Olga, operations", ("operator",)),
    DemoPerson("alex", "Alex, account manager", ("account_manager",)),
    DemoPerson("carla", "Carla, a customer's person", ("customer",), customers=(_CUSTOMER_OF_THE_SAMPLE_FIRM,)),
    DemoPerson("dora", "Dora, developer", ("developer",)),
    DemoPerson("ada", "Ada, administrator", ("administrator",)),
)
PERSON_NAMES = tuple(person.name for person in PEOPLE)


def users_document(passwords: Mapping[str, str]) -> str:
    """The users file with these passwords."""
    seeds = [person.seed(passwords[person.name]) for person in PEOPLE]
    return yaml.safe_dump({"users": seeds}, sort_keys=False, allow_unicode=True)
