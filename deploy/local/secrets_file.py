"""Secrets and keys of one installation: generated once, kept in a file that only its owner can read."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields
from typing import Any

from deploy.local.places import Places, write_private
from deploy.sandbox.catalog import vendor

SECRETS_FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Everything that is generated; none of it is ever shown in a log."""

    postgres_password: str
    nats_password: str
    sealing_key: str
    vendors: dict[str, dict[str, str]]
    clients: dict[str, str]
    people: dict[str, str]


def installed_secrets(
    places: Places, client_ids: tuple[str, ...], people: tuple[str, ...] = (), vendors: tuple[str, ...] = ()
) -> Secrets:
    """The installation's secrets; what is missing (a first start, a new client, person or vendor) is made and kept."""
    file = places.keys / SECRETS_FILE
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else _generated()
    kept = {field.name: held[field.name] for field in fields(Secrets) if field.name in held}
    of_vendors: dict[str, dict[str, str]] = kept.get("vendors", {})
    kept["vendors"] = of_vendors | {name: vendor(name).generate() | of_vendors.get(name, {}) for name in vendors}
    clients: dict[str, str] = kept.get("clients", {})
    for client in client_ids:
        clients.setdefault(client, secrets.token_urlsafe(30))
    kept["clients"] = {client: clients[client] for client in client_ids}
    passwords: dict[str, str] = kept.get("people", {})
    kept["people"] = {name: passwords.get(name) or secrets.token_urlsafe(15) for name in people}
    made = Secrets(**kept)
    write_private(file, json.dumps(asdict(made), indent=2))
    return made


def _generated() -> dict[str, Any]:
    return {
        "postgres_password": secrets.token_hex(20),
        "nats_password": secrets.token_hex(20),
        "sealing_key": secrets.token_urlsafe(32),
    }
