"""Writes what the processes of an installation need to know of each other: environment, connectors, sandbox options."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.local.bus import Nats
from deploy.local.choice import Choice
from deploy.local.clients import (
    CLIENT_IDS,
    CLIENTS,
    EXPERIENCE_AUDIENCE,
    PROCESS_AUDIENCE,
    SYSTEM_AUDIENCE,
    TENANT,
    clients_document,
)
from deploy.local.people import PEOPLE, PERSON_NAMES, users_document
from deploy.local.places import Places, write_private
from deploy.local.ports import HOST, Ports
from deploy.local.postgres import Postgres
from deploy.local.secrets_file import Secrets, installed_secrets
from deploy.sandbox.catalog import vendor

GATEWAY_DIR = Path(__file__).resolve().parents[1] / "gateway"
OPENAPI_DIR = Path(__file__).resolve().parents[2] / "openapi"
RULES_DIR = Path(__file__).resolve().parent / "tenants"


@dataclass(frozen=True, slots=True)
class Installation:
    """Places, ports and secrets of one embedded installation."""

    places: Places
    ports: Ports
    secrets: Secrets
    choice: Choice

    @classmethod
    def of(cls, places: Places, ports: Ports, choice: Choice | None = None) -> Installation:
        """The installation of a state directory, made on first use."""
        places.make()
        chosen = choice or Choice()
        return cls(places, ports, installed_secrets(places, CLIENT_IDS, PERSON_NAMES, chosen.vendors()), chosen)

    def url(self, name: str) -> str:
        """Base URL of a tier or of the sandbox."""
        port = dict(self.ports.items())[name]
        return f"http://{HOST}:{port}"

    @property
    def sandbox_options_file(self) -> Path:
        """Options of the simulators."""
        return self.places.keys / "sandbox.json"

    def write(self) -> None:
        """Write every file that processes read at their start, and run.json for people."""
        write_private(self.places.clients_file, clients_document(self.secrets.clients, self.url("experience")))
        write_private(self.places.users_file, users_document(self.secrets.people))
        write_private(self.places.tenants / f"{TENANT}.yaml", yaml.safe_dump(self._connectors(), sort_keys=False))
        write_private(self.sandbox_options_file, json.dumps(self._sandbox_options(), indent=2))
        write_private(self.places.run_file, json.dumps(self.run_document(), indent=2))

    def run_document(self) -> dict[str, Any]:
        """What run.json says: base URLs, and the demo clients with their secrets."""
        demo = [client for client in CLIENTS if client.is_demo]
        return {
            "tenant": TENANT,
            "systems": self.choice.document(),
            "ports": dict(self.ports.items()),
            "urls": {name: self.url(name) for name in ("system", "process", "experience", "sandbox")},
            "token_endpoint": f"{self.url('experience')}/oauth/token",
            "documentation": {name: f"{self.url(name)}/openapi.json" for name in ("system", "process", "experience")},
            "clients": {
                client.client_id: {
                    "client_secret": self.secrets.clients[client.client_id],
                    "name": client.name,
                    "roles": list(client.roles),
                    "audiences": list(client.audiences),
                }
                for client in demo
            },
            "login": f"{self.url('experience')}/login",
            "people": {
                person.name: {
                    "password": self.secrets.people[person.name],
                    "name": person.full_name,
                    "roles": list(person.roles),
                }
                for person in PEOPLE
            },
        }

    def tier_env(self, tier: str, postgres: Postgres, nats: Nats) -> dict[str, str]:
        """Environment of a tier process."""
        common = {
            "HOST": HOST,
            "PORT": str(dict(self.ports.items())[tier]),
            "DATABASE_URL": postgres.url(f"throughline_{tier}"),
            "NATS_URL": nats.url,
            "COUNTERS_URL": "memory://",
            "ISSUER_URL": self.url("experience"),
            "PUBLIC_URL": self.url(tier),
            "GATEWAY_DIR": str(GATEWAY_DIR),
            "OPENAPI_DIR": str(OPENAPI_DIR),
            "LOG_LEVEL": "info",
        }
        own = {
            "system": {
                "AUDIENCE": SYSTEM_AUDIENCE,
                "TENANTS_DIR": str(self.places.tenants),
                "CLIENT_ID": "tier-system",
                "CLIENT_SECRET": self.secrets.clients["tier-system"],
            },
            "process": {
                "AUDIENCE": PROCESS_AUDIENCE,
                "SYSTEM_URL": self.url("system"),
                "TENANTS_DIR": str(RULES_DIR),
                "CLIENT_ID": "tier-process",
                "CLIENT_SECRET": self.secrets.clients["tier-process"],
            },
            "experience": {
                "AUDIENCE": EXPERIENCE_AUDIENCE,
                "PROCESS_URL": self.url("process"),
                "CLIENT_ID": "tier-experience",
                "CLIENT_SECRET": self.secrets.clients["tier-experience"],
                "CLIENTS_FILE": str(self.places.clients_file),
                "USERS_FILE": str(self.places.users_file),
                "SEALING_KEY": self.secrets.sealing_key,
                "ALLOW_LOOPBACK_ADDRESSES": "true",
            },
        }[tier]
        return {f"THROUGHLINE_{tier.upper()}_{key}": value for key, value in (common | own).items()}

    def vendor_url(self, name: str) -> str:
        """The vendor's root in the sandbox."""
        return f"{self.url('sandbox')}/{name}"

    def _connectors(self) -> dict[str, Any]:
        chosen = self.choice
        erp = self._bound(chosen.erp, "erp")
        if chosen.of_entity:
            erp["legal_entities"] = {
                entity: self._bound(name, f"erp-{entity}") for entity, name in chosen.of_entity.items()
            }
        return {
            "connectors": {"crm": self._bound(chosen.crm, "crm"), "psa": self._bound(chosen.psa, "psa"), "erp": erp}
        }

    def _bound(self, name: str, role: str) -> dict[str, Any]:
        kept = self.secrets.vendors[name]
        settings = vendor(name).settings(self.vendor_url(name), kept)
        if "webhook_url" in settings:
            settings["webhook_url"] = f"{self.url('system')}/intake/v1/webhooks/{name}"
        bound = {"vendor": name, "settings": settings, "secrets": vendor(name).secrets(kept)}
        own = self.places.fields / f"{role}.yaml"
        return bound | ({"fields": str(own.relative_to(self.places.tenants))} if own.exists() else {})

    def _sandbox_options(self) -> dict[str, Any]:
        return {name: self.secrets.vendors[name] for name in self.choice.vendors()}
