"""Which vendor plays which role for which tenant; connectors are opened by name, so none is named here."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

from shared.errors.taxonomy import Misconfigured, NotFound, NotPermitted
from system_apis.fields import FieldMap, load_fields
from system_apis.manifest import Manifest, Role, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangePoll, WebhookIntake
from system_apis.ports.crm import CrmPort
from system_apis.ports.erp import ErpPort
from system_apis.ports.psa import PsaPort
from system_apis.ports.schema import SchemaSource
from system_apis.routed_erp import RoutedErp
from system_apis.tenant_files import BoundConnector, TenantConnectors, read_tenant_file

CONNECTORS = Path(__file__).parent / "connectors"
_URL: Final = re.compile(r"^https?://[^/\s]+")


class Connector(ChangePoll, SchemaSource, Protocol):
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
    """An opened connector in its role; `legal_entities` it serves alone, () where it serves whatever is left."""

    tenant: str
    role: Role
    vendor: str
    connector: Connector
    intake: WebhookIntake | None
    fields: FieldMap
    legal_entities: tuple[str, ...] = ()

    @property
    def port(self) -> Any:
        """The port of the role: the connector itself, or what one that plays several roles offers for this one."""
        for_role = getattr(self.connector, "for_role", None)
        return self.connector if for_role is None else for_role(self.role)


class Catalog:
    """All bound connectors of all tenants."""

    def __init__(self, bound: Sequence[Bound]) -> None:
        """Use `open_catalog`."""
        self._all = tuple(bound)
        self._ports: dict[tuple[str, Role], Any] = {}
        for one in self._all:
            self._ports.setdefault((one.tenant, one.role), one.port)
        for tenant in {one.tenant for one in self._all}:
            erps = [one for one in self.of_tenant(tenant) if one.role == "erp"]
            if len(erps) > 1:
                self._ports[tenant, "erp"] = RoutedErp(
                    {one.vendor: one.port for one in erps},
                    next(one.vendor for one in erps if not one.legal_entities),
                    {entity: one.vendor for one in erps for entity in one.legal_entities},
                )

    def all(self) -> list[Bound]:
        """Every bound connector."""
        return list(self._all)

    def of_tenant(self, tenant: str) -> list[Bound]:
        """The tenant's connectors."""
        return [one for one in self._all if one.tenant == tenant]

    def bound(self, tenant: str, role: Role) -> Bound:
        """The connector in that role, of several ERPs the general one.

        Raises NotPermitted for a tenant that is not served here, Misconfigured where the tenant bound none.
        """
        own = self.of_tenant(tenant)
        if not own:
            raise NotPermitted(f"Tenant {tenant} is not served here.")
        found = [one for one in own if one.role == role and not one.legal_entities]
        if not found:
            raise Misconfigured(f"Tenant {tenant} has no {role.upper()} connected.")
        return found[0]

    def named(self, tenant: str, vendor: str, role: Role | None = None) -> Bound:
        """The tenant's connection to a vendor (in that role). Raises NotFound."""
        for bound in self.of_tenant(tenant):
            if bound.vendor == vendor and role in {None, bound.role}:
                return bound
        raise NotFound(f"No connector {vendor} is bound.")

    def crm(self, tenant: str) -> tuple[CrmPort, str]:
        """The tenant's CRM and its name."""
        bound = self.bound(tenant, "crm")
        return cast("CrmPort", self._ports[tenant, "crm"]), bound.vendor

    def psa(self, tenant: str) -> tuple[PsaPort, str]:
        """The tenant's PSA and its name."""
        bound = self.bound(tenant, "psa")
        return cast("PsaPort", self._ports[tenant, "psa"]), bound.vendor

    def erp(self, tenant: str) -> ErpPort:
        """The tenant's ERP, or all of them as one."""
        self.bound(tenant, "erp")
        return cast("ErpPort", self._ports[tenant, "erp"])

    def erp_named(self, tenant: str, vendor: str) -> ErpPort:
        """One of the tenant's ERPs alone. Raises NotFound."""
        return cast("ErpPort", self.named(tenant, vendor, "erp").port)

    async def aclose(self) -> None:
        """Close every connector once."""
        for connector in {id(one.connector): one.connector for one in self._all}.values():
            await connector.aclose()


def open_catalog(tenants_dir: Path) -> Catalog:
    """Read every `<tenant>.yaml` and open what it binds. Raises Misconfigured naming file, key and reason."""
    files = sorted(tenants_dir.glob("*.yaml"))
    if not files:
        raise Misconfigured(f"{tenants_dir}: no tenant file (<tenant>.yaml) is there")
    bound: list[Bound] = []
    signed: dict[tuple[str, str], str] = {}
    for path in files:
        bound += _Opening(path, signed).all(read_tenant_file(path))
    return Catalog(bound)


class _Opening:
    """Opens what one tenant binds; one vendor in several places is one connection."""

    def __init__(self, path: Path, signed: dict[tuple[str, str], str]) -> None:
        self._path = path
        self._signed = signed
        self._opened: dict[str, tuple[BoundConnector, Connector, WebhookIntake | None, FieldMap]] = {}

    def all(self, read: TenantConnectors) -> list[Bound]:
        """Every role's connectors, the general one first."""
        bound: list[Bound] = []
        for role, chosen in read.connectors.items():
            where = f"{self._path.name}: connectors.{role}"
            bound.append(self._bound(where, role, chosen.general))
            of_entity: dict[str, list[str]] = {}
            for entity, own in chosen.legal_entities.items():
                of_entity.setdefault(own.vendor, []).append(entity)
            for entity, own in chosen.legal_entities.items():
                if of_entity.get(own.vendor) and own.vendor != chosen.vendor:
                    codes = tuple(of_entity.pop(own.vendor))
                    bound.append(self._bound(f"{where}.legal_entities.{entity}", role, own, codes))
                self._refuse_other(f"{where}.legal_entities.{entity}", own)
        return bound

    def _bound(self, where: str, role: Role, chosen: BoundConnector, entities: tuple[str, ...] = ()) -> Bound:
        self._refuse_shared_secret(where, chosen)
        if chosen.vendor not in self._opened:
            self._opened[chosen.vendor] = (chosen, *_opened(self._path, where, role, chosen))
        else:
            _refuse_unfit(where, role, load_manifest(CONNECTORS / chosen.vendor))
        self._refuse_other(where, chosen)
        _, connector, intake, fields = self._opened[chosen.vendor]
        return Bound(self._path.stem, role, chosen.vendor, connector, intake, fields, entities)

    def _refuse_other(self, where: str, chosen: BoundConnector) -> None:
        if self._opened[chosen.vendor][0] != chosen:
            raise Misconfigured(
                f"{where}.vendor: {chosen.vendor} is bound elsewhere with other settings; "
                "a tenant has one connection per vendor"
            )

    def _refuse_shared_secret(self, where: str, chosen: BoundConnector) -> None:
        """A delivery belongs to the tenant whose secret signed it, so no two may have the same."""
        secret = chosen.secrets.get("webhook_secret")
        if secret is None:
            return
        owner = self._signed.setdefault((chosen.vendor, secret), self._path.stem)
        if owner != self._path.stem:
            told = f"is the same as that of {owner}.yaml; a delivery must tell whose it is"
            raise Misconfigured(f"{where}.secrets.webhook_secret: {told}")


def _refuse_unfit(where: str, role: Role, manifest: Manifest) -> None:
    if role not in manifest.plays:
        raise Misconfigured(f"{where}.vendor: {manifest.name} plays {', '.join(manifest.plays)}, not {role}")


def _opened(
    path: Path, where: str, role: Role, chosen: BoundConnector
) -> tuple[Connector, WebhookIntake | None, FieldMap]:
    folder = CONNECTORS / chosen.vendor
    if not (folder / "manifest.yaml").exists():
        known = ", ".join(sorted(p.parent.name for p in CONNECTORS.glob("*/manifest.yaml")))
        raise Misconfigured(f"{where}.vendor: there is no connector {chosen.vendor}; known are {known}")
    manifest = load_manifest(folder)
    _refuse_unfit(where, role, manifest)
    if strange := sorted(chosen.settings.keys() - manifest.settings.keys()):
        raise Misconfigured(f"{where}.settings.{strange[0]}: not a setting of {chosen.vendor}")
    if strange := sorted(chosen.secrets.keys() - set(manifest.secrets)):
        raise Misconfigured(f"{where}.secrets.{strange[0]}: not a secret of {chosen.vendor}")
    for name, value in chosen.settings.items():
        if name.endswith("_url") and not _URL.match(value):
            raise Misconfigured(f"{where}.settings.{name}: must be an http(s) address")
    overrides = path.parent / chosen.fields if chosen.fields else None
    binding = Binding(path.stem, chosen.vendor, chosen.settings, chosen.secrets, overrides)
    intake: WebhookIntake | None = None
    try:
        fields = load_fields(folder, overrides)
        if (folder / "webhooks.py").exists():
            intake = _opener(chosen.vendor, "webhooks", "open_intake")(binding)
        connector = _opener(chosen.vendor, "connector", "open_connector")(binding)
    except (Misconfigured, ValueError) as error:
        raise Misconfigured(f"{where}: {error}") from error
    return connector, intake, fields


def _opener(vendor: str, room: str, name: str) -> Callable[[Binding], Any]:
    """What makes a connector (its intake) of a binding. Raises Misconfigured naming the file that lacks it."""
    called = f"connectors/{vendor}/{room}.py"
    try:
        module = importlib.import_module(f"system_apis.connectors.{vendor}.{room}")
    except (ImportError, SyntaxError, NameError, AttributeError, TypeError) as error:
        raise Misconfigured(f"{called} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(opener := getattr(module, name, None)):
        raise Misconfigured(f"{called}: {name}(binding) is missing")
    return opener
