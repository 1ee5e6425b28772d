"""Which vendor plays which role for which tenant; connectors are opened by name, so none is named here."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors.taxonomy import Misconfigured, NotFound, NotPermitted
from system_apis.manifest import Manifest, Role, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangePoll, WebhookIntake
from system_apis.ports.crm import CrmPort
from system_apis.ports.erp import ErpPort
from system_apis.ports.psa import PsaPort

CONNECTORS = Path(__file__).parent / "connectors"
_TENANT: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")
_URL: Final = re.compile(r"^https?://[^/\s]+")


class BoundConnector(BaseModel):
    """A tenant's choice for one role."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: str = Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")
    settings: dict[str, str] = {}
    secrets: dict[str, str] = Field(default={}, repr=False)


class TenantConnectors(BaseModel):
    """The `connectors` part of a tenant's file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tenant: str | None = None
    connectors: dict[Role, BoundConnector] = Field(min_length=1)


class Connector(ChangePoll, Protocol):
    """What every connector offers besides its ports."""

    manifest: Manifest

    async def ping(self) -> None:
        """Raises VendorTrouble or Misconfigured when the vendor cannot be used."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Bound:
    """An opened connector in its role."""

    tenant: str
    role: Role
    vendor: str
    connector: Connector
    intake: WebhookIntake | None


class Catalog:
    """All bound connectors of all tenants."""

    def __init__(self, bound: Mapping[tuple[str, Role], Bound]) -> None:
        """Use `open_catalog`."""
        self._bound = dict(bound)

    def all(self) -> list[Bound]:
        """Every bound connector."""
        return list(self._bound.values())

    def of_tenant(self, tenant: str) -> list[Bound]:
        """The tenant's connectors."""
        return [b for b in self._bound.values() if b.tenant == tenant]

    def bound(self, tenant: str, role: Role) -> Bound:
        """The connector in that role.

        Raises NotPermitted for a tenant that is not served here, Misconfigured where the tenant bound none.
        """
        found = self._bound.get((tenant, role))
        if found is None:
            if not self.of_tenant(tenant):
                raise NotPermitted(f"Tenant {tenant} is not served here.")
            raise Misconfigured(f"Tenant {tenant} has no {role.upper()} connected.")
        return found

    def named(self, tenant: str, vendor: str) -> Bound:
        """The tenant's connection to a vendor. Raises NotFound."""
        for bound in self.of_tenant(tenant):
            if bound.vendor == vendor:
                return bound
        raise NotFound(f"No connector {vendor} is bound.")

    def crm(self, tenant: str) -> tuple[CrmPort, str]:
        """The tenant's CRM and its name."""
        bound = self.bound(tenant, "crm")
        return cast("CrmPort", bound.connector), bound.vendor

    def psa(self, tenant: str) -> tuple[PsaPort, str]:
        """The tenant's PSA and its name."""
        bound = self.bound(tenant, "psa")
        return cast("PsaPort", bound.connector), bound.vendor

    def erp(self, tenant: str) -> tuple[ErpPort, str]:
        """The tenant's ERP and its name."""
        bound = self.bound(tenant, "erp")
        return cast("ErpPort", bound.connector), bound.vendor

    async def aclose(self) -> None:
        """Close every connector once."""
        for connector in {id(b.connector): b.connector for b in self._bound.values()}.values():
            await connector.aclose()


def open_catalog(tenants_dir: Path) -> Catalog:
    """Read every `<tenant>.yaml` and open what it binds. Raises Misconfigured naming file, key and reason."""
    files = sorted(tenants_dir.glob("*.yaml"))
    if not files:
        raise Misconfigured(f"{tenants_dir}: no tenant file (<tenant>.yaml) is there")
    bound: dict[tuple[str, Role], Bound] = {}
    signed: dict[tuple[str, str], str] = {}
    for path in files:
        opened: dict[str, Bound] = {}
        for role, chosen in _read(path).connectors.items():
            _refuse_shared_secret(path, role, chosen, signed)
            shared_with = opened.get(chosen.vendor)  # one vendor in two roles: one connection
            one = (
                Bound(path.stem, role, chosen.vendor, shared_with.connector, shared_with.intake)
                if shared_with
                else _open(path, role, chosen)
            )
            opened[chosen.vendor] = bound[path.stem, role] = one
    return Catalog(bound)


def _refuse_shared_secret(path: Path, role: Role, chosen: BoundConnector, signed: dict[tuple[str, str], str]) -> None:
    """A delivery belongs to the tenant whose secret signed it, so no two may have the same."""
    secret = chosen.secrets.get("webhook_secret")
    if secret is None:
        return
    owner = signed.setdefault((chosen.vendor, secret), path.stem)
    if owner != path.stem:
        where = f"{path.name}: connectors.{role}.secrets.webhook_secret"
        raise Misconfigured(f"{where}: is the same as that of {owner}.yaml; a delivery must tell whose it is")


def _read(path: Path) -> TenantConnectors:
    if not _TENANT.match(path.stem):
        raise Misconfigured(f"{path.name}: the file's name is the tenant's; it must match {_TENANT.pattern}")
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        read = TenantConnectors.model_validate(document)
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path.name}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path.name}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or '(document)'}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        )
        raise Misconfigured(f"{path.name}: {listed}") from None
    if read.tenant not in {None, path.stem}:
        raise Misconfigured(f"{path.name}: tenant: is {read.tenant}, but the file's name says {path.stem}")
    return read


def _open(path: Path, role: Role, chosen: BoundConnector) -> Bound:
    where = f"{path.name}: connectors.{role}"
    folder = CONNECTORS / chosen.vendor
    if not (folder / "manifest.yaml").exists():
        known = ", ".join(sorted(p.parent.name for p in CONNECTORS.glob("*/manifest.yaml")))
        raise Misconfigured(f"{where}.vendor: there is no connector {chosen.vendor}; known are {known}")
    manifest = load_manifest(folder)
    if role not in manifest.plays:
        raise Misconfigured(f"{where}.vendor: {chosen.vendor} plays {', '.join(manifest.plays)}, not {role}")
    if strange := sorted(chosen.settings.keys() - manifest.settings.keys()):
        raise Misconfigured(f"{where}.settings.{strange[0]}: not a setting of {chosen.vendor}")
    if strange := sorted(chosen.secrets.keys() - set(manifest.secrets)):
        raise Misconfigured(f"{where}.secrets.{strange[0]}: not a secret of {chosen.vendor}")
    for name, value in chosen.settings.items():
        if name.endswith("_url") and not _URL.match(value):
            raise Misconfigured(f"{where}.settings.{name}: must be an http(s) address")
    binding = Binding(path.stem, chosen.vendor, chosen.settings, chosen.secrets)
    package = f"system_apis.connectors.{chosen.vendor}"
    intake: WebhookIntake | None = None
    try:
        if (folder / "webhooks.py").exists():
            intake = importlib.import_module(f"{package}.webhooks").open_intake(binding)
        connector = importlib.import_module(f"{package}.connector").open_connector(binding)
    except (Misconfigured, ValueError) as error:
        raise Misconfigured(f"{where}: {error}") from error
    return Bound(path.stem, role, chosen.vendor, connector, intake)
