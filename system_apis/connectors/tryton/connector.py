"""Tryton in three roles over one connection: which port object plays which, and what all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.errors.taxonomy import ScopeMissing
from shared.outbound import drift
from system_apis.connectors.tryton import changes
from system_apis.connectors.tryton.client import VENDOR, TrytonClient
from system_apis.connectors.tryton.crm import Crm
from system_apis.connectors.tryton.customers import Customers
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.erp import Erp
from system_apis.connectors.tryton.payloads import FieldInfo
from system_apis.connectors.tryton.projects import Projects
from system_apis.connectors.tryton.psa import Psa
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import led_by
from system_apis.fields import load_fields
from system_apis.manifest import Role, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from system_apis.ports.schema import FieldFacts

_FOLDER = Path(__file__).parent


def open_connector(binding: Binding) -> TrytonConnector:
    """The connection of one tenant to one database. Raises Misconfigured naming the missing key."""
    return TrytonConnector(binding)


class TrytonConnector:
    """One user of one database; `for_role` answers the port: two roles have methods of one name with other meanings."""

    def __init__(self, binding: Binding) -> None:
        self.manifest = load_manifest(_FOLDER)
        settings = binding.settings
        self._client = TrytonClient(binding, self.manifest)
        library = Library(load_fields(_FOLDER, binding.overrides))
        self._library = library
        directory = Directory(
            self._client,
            library,
            tax=settings.get("standard_tax", "Standard"),
        )
        customers = Customers(binding, self._client, library, directory)
        closed = settings.get("closed_status", "Closed")
        projects = Projects(self._client, library, directory, customers, closed=closed)
        self._roles: dict[Role, Any] = {
            "crm": Crm(binding, self._client, library, directory, customers),
            "psa": Psa(binding, self._client, library, directory, projects),
            "erp": Erp(binding, self._client, library, directory, customers, projects),
        }

    def for_role(self, role: Role) -> Any:
        """The port of a role: CrmPort, PsaPort or ErpPort."""
        return self._roles[role]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._roles["erp"].aclose()
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether the server lets us in and answers. Raises what stands against it."""
        await self._client.find("company.company", [], ["id"], limit=1)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Deals, customers and orders one by one; work, payments and reference data once for all that changed."""
        start = since - changes.OVERLAP if since else None
        ask = self._client
        crm: Crm = self._roles["crm"]
        work, folded = self._library["project"], self._library["project"].folded
        return await changes.in_order(
            crm.deal_hints(start),
            crm.customer_hints(start),
            crm.contract_hints(start),
            changes.newest(ask, "time", "time", "timesheet.line", [], start),
            changes.newest(ask, "milestone", "milestone", work.model, [[folded, *led_by("milestone")]], start),
            changes.newest(
                ask, "payment", "payment", "account.move.line", [["invoice_payment.type", "=", "out"]], start
            ),
            changes.hints_of(
                ask,
                "invoice",
                "account.invoice",
                [["type", "=", "out"], ["state", "in", ["posted", "paid", "cancelled"]]],
                start,
            ),
            changes.newest(ask, "reference_data", "legal_entity", "company.company", [], start),
            changes.newest(ask, "reference_data", "service_item", "product.product", [], start),
            changes.newest(ask, "reference_data", "rate_card", "product.price_list.line", [], start),
        )

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """What Tryton says of its own models; a model that its user cannot see is left out, and so is a field."""
        listed = set(await self._client.ask("model.ir.model.get_names"))
        told: dict[str, Sequence[FieldFacts]] = {}
        for name in objects:
            if name in listed:
                told[name] = await self._described(name)
        return told

    async def _described(self, name: str) -> list[FieldFacts]:
        raw: Any = await self._client.ask(f"model.{name}.fields_get", None)
        shown = await self._readable(name, [field for field, info in raw.items() if "type" in info])
        fields = {field: drift(VENDOR, FieldInfo, raw[field]) for field in shown}
        required = [field for field, info in fields.items() if info.required and not info.readonly]
        filled: Any = await self._client.ask(f"model.{name}.default_get", required, False)
        return [
            FieldFacts(
                name=field,
                kind=info.type,
                label=info.string,
                is_required=field in required and filled.get(field) is None,
                is_writable=not info.readonly,
                values=_values(info),
            )
            for field, info in fields.items()
        ]

    async def _readable(self, name: str, fields: Sequence[str]) -> list[str]:
        """Those of the fields that our user may read, by reading them of no record: `fields_get` names all of them."""
        try:
            await self._client.ask(f"model.{name}.read", [], list(fields))
        except ScopeMissing:
            if len(fields) <= 1:
                return []
            middle = len(fields) // 2
            parts = await asyncio.gather(*(self._readable(name, part) for part in (fields[:middle], fields[middle:])))
            return [field for part in parts for field in part]
        return list(fields)


def _values(info: FieldInfo) -> tuple[str, ...]:
    if not isinstance(info.selection, list):
        return ()
    return tuple(str(choice[0]) for choice in info.selection if choice and choice[0] is not None)
