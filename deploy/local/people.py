"""The people of an embedded installation: those of the sample firm who log in, for everybody to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deploy.local.clients import TENANT

_NOBODYS = ("cus_of_nobody_yet",)  # until a firm is loaded; a customer's person without customers would be refused


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody of the sample firm; with the subject of a demo client, both are one person to approvals."""

    name: str
    full_name: str
    roles: tuple[str, ...]
    subject: str | None = None
    is_customers: bool = False

    def seed(self, password: str, customers: Sequence[str]) -> dict[str, Any]:
        """The person as the issuer's users file wants it; `customers` are those of the customers' people."""
        seed: dict[str, Any] = {
            "name": self.name,
            "full_name": self.full_name,
            "tenant": TENANT,
            "roles": list(self.roles),
            "password": password,
        }
        if self.subject:
            seed["subject"] = self.subject
        if self.is_customers:
            seed["customers"] = list(customers)
        return seed


PEOPLE = (
    DemoPerson("paul", "Paul, delivery office", ("pmo",), subject="pmo-paul"),
    DemoPerson("dan", "Dan, delivery lead", ("delivery_lead",)),
    DemoPerson("fiona", "Fiona, finance lead", ("finance_lead",)),
    DemoPerson("olga", "Olga, operations", ("operator",)),
    DemoPerson("alex", "Alex, account manager", ("account_manager",)),
    DemoPerson("carla", "Carla, a customer's person", ("customer",), is_customers=True),
    DemoPerson("dora", "Dora, developer", ("developer",)),
    DemoPerson("ada", "Ada, administrator", ("administrator",)),
)
PERSON_NAMES = tuple(person.name for person in PEOPLE)


def users_document(passwords: Mapping[str, str], *, customers: Sequence[str] = _NOBODYS) -> str:
    """The users file with these passwords; `customers` are what the customer's person sees."""
    seeds = [person.seed(passwords[person.name], customers) for person in PEOPLE]
    return yaml.safe_dump({"users": seeds}, sort_keys=False, allow_unicode=True)
