"""Customers as business partners: looked up by our id, made in one deep insert, changed in one change set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.canonical.customers import Customer
from shared.canonical.references import Written
from shared.errors.taxonomy import OutcomeUnknown
from shared.outbound import drift
from system_apis.connectors.s4hana import bodies
from system_apis.connectors.s4hana.client import PARTNERS, Change, Json, Query, etag, nested, path_of
from system_apis.connectors.s4hana.differences import changed
from system_apis.connectors.s4hana.directory import VENDOR, kept_id, number_of
from system_apis.connectors.s4hana.mapping import Organisation, is_keepable, to_written_customer
from system_apis.connectors.s4hana.payloads import AddressRow, PartnerRow
from system_apis.connectors.s4hana.writing import Desk
from system_apis.ports.outcomes import begun

_HELD = Query(
    expand=(
        "to_BusinessPartnerAddress",
        "to_BusinessPartnerTax",
        "to_Customer/to_CustomerCompany",
        "to_Customer/to_CustomerSalesArea",
    )
)


class Customers(Desk):
    """The port's customer methods."""

    async def amend(self, customer: Customer, legal_entity_code: str) -> Written:
        """Make the partner with role, ledger and sales area, or change what differs; a legal entity is added."""
        kept_id(customer.id, is_good=is_keepable(customer.id))
        at = await self._directory.organisation(legal_entity_code)
        async with self._writers.of(customer.id):
            held = await self._directory.find_partner(customer.id)
            if held is None:
                body = bodies.from_new_customer(customer, at, self._fields, self._settings)
                made = drift(VENDOR, PartnerRow, await self._client.create(PARTNERS, "A_BusinessPartner", body))
                self._directory.keep(customer.id, made)
                return to_written_customer(self._binding, customer.id, made, was_created=True)
            row = await self._client.find(PARTNERS, "A_BusinessPartner", held.partner, _HELD)
            if row is None:
                raise OutcomeUnknown(f"{VENDOR} lost business partner {held.partner} between two reads.")
            changes = self._changes(customer, at, held.partner, row)
            if changes:
                await self._client.change_set(PARTNERS, changes)
                with begun(VENDOR, f"customer {customer.id}"):
                    held = await self._directory.find_partner(customer.id) or held
        return to_written_customer(self._binding, customer.id, held, was_created=False)

    async def find(self, customer_id: str) -> Written | None:
        """By our id."""
        held = await self._directory.find_partner(customer_id)
        return None if held is None else to_written_customer(self._binding, customer_id, held, was_created=False)

    def _changes(self, customer: Customer, at: Organisation, number: str, row: Json) -> list[Change]:
        root = path_of("A_BusinessPartner", number)
        changes: list[Change] = []
        if own := changed(bodies.from_customer(customer, self._fields), row):
            changes.append(Change("PATCH", root, own, etag(row)))
        changes += self._address(customer, number, root, row)
        changes += self._tax(customer, number, root, row)
        changes += self._areas(at, number, row)
        return changes

    def _address(self, customer: Customer, number: str, root: str, row: Json) -> list[Change]:
        wanted, held = bodies.from_address(customer), nested(row, "to_BusinessPartnerAddress")
        if not wanted:
            return []
        if not held:
            return [Change("POST", f"{root}/to_BusinessPartnerAddress", wanted)]
        address = drift(VENDOR, AddressRow, held[0]).address
        key = {"BusinessPartner": number, "AddressID": address}
        differing = changed(wanted, held[0])
        return [Change("PATCH", path_of("A_BusinessPartnerAddress", key), differing)] if differing else []

    def _tax(self, customer: Customer, number: str, root: str, row: Json) -> list[Change]:
        wanted, held = bodies.from_tax_number(customer), nested(row, "to_BusinessPartnerTax")
        if not wanted:
            return []
        kind = wanted["BPTaxType"]
        same = next((one for one in held if one.get("BPTaxType") == kind), None)
        if same is None:
            return [Change("POST", f"{root}/to_BusinessPartnerTax", wanted)]
        differing = {name: value for name, value in changed(wanted, same).items() if name != "BPTaxType"}
        key = {"BusinessPartner": number, "BPTaxType": kind}
        return [Change("PATCH", path_of("A_BusinessPartnerTaxNumber", key), differing)] if differing else []

    def _areas(self, at: Organisation, number: str, row: Json) -> list[Change]:
        customers = nested(row, "to_Customer")
        if not customers:
            roles = [{"BusinessPartner": number, "BusinessPartnerRole": role} for role in bodies.CUSTOMER_ROLES]
            fresh = [Change("POST", "A_BusinessPartnerRole", role) for role in roles]
        else:
            fresh = []
        companies = [one for customer in customers for one in nested(customer, "to_CustomerCompany")]
        areas = [one for customer in customers for one in nested(customer, "to_CustomerSalesArea")]
        if not any(one.get("CompanyCode") == at.entity.company for one in companies):
            body = {"Customer": number, **bodies.from_company(at, self._settings)}
            fresh.append(Change("POST", "A_CustomerCompany", body))
        if not any(_is_area(one, bodies.sales_area_key(at)) for one in areas):
            fresh.append(Change("POST", "A_CustomerSalesArea", {"Customer": number, **bodies.from_sales_area(at)}))
        return fresh


def _is_area(row: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    return all(number_of(str(row.get(name))) == number_of(str(value)) for name, value in key.items())
