"""Secrets and keys of one installation: generated once, kept in a file that only its owner can read."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local.places import Places, write_private

SECRETS_FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Everything that is generated; none of it is ever shown in a log."""

    postgres_password: str
    nats_password: str
    sealing_key: str
    salesforce_client_id: str
    salesforce_client_secret: str
    salesforce_webhook_secret: str
    kantata_token: str
    netsuite_webhook_secret: str
    netsuite_client_id: str
    netsuite_certificate_id: str
    netsuite_private_key: str
    netsuite_public_key: str
    clients: dict[str, str]
    people: dict[str, str]


def installed_secrets(places: Places, client_ids: tuple[str, ...], people: tuple[str, ...] = ()) -> Secrets:
    """The installation's secrets; what is missing (a first start, a new client or person) is made and kept."""
    file = places.keys / SECRETS_FILE
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else _generated()
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
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "postgres_password": secrets.token_hex(20),
        "nats_password": secrets.token_hex(20),
        "sealing_key": secrets.token_urlsafe(32),
        "salesforce_client_id": f"3MVG9{secrets.token_hex(20)}",
        "salesforce_client_secret": secrets.token_hex(32).upper(),
        "salesforce_webhook_secret": secrets.token_urlsafe(32),
        "netsuite_webhook_secret": secrets.token_urlsafe(32),
        "kantata_token": secrets.token_hex(32),
        "netsuite_client_id": secrets.token_hex(32),
        "netsuite_certificate_id": str(uuid.uuid4()),
        "netsuite_private_key": private.decode(),
        "netsuite_public_key": public.decode(),
    }
