"""Parties as customers, which CRM and ERP share: read, made, brought up to date, and found by our id."""

from __future__ import annotations

from typing import Any

from shared.canonical.customers import Address, Customer
from shared.canonical.references import Written
from shared.errors.taxonomy import MappingMissing, NotFound
from system_apis.connectors.tryton import mapping
from system_apis.connectors.tryton.client import Json, TrytonClient, parsed
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.payloads import Party
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import from_tags, to_tags
from system_apis.ports.binding import Binding

_OURS, _TAX = "customer", "tax"


class Customers:
    """A party carries our id as its code where we made it, else as an identifier without a type."""

    def __init__(self, binding: Binding, client: TrytonClient, library: Library, directory: Directory) -> None:
        settings = binding.settings
        self._binding = binding
        self._client = client
        self._records = library["customer"]
        self._directory = directory
        self._order_required = settings.get("purchase_order_category", "Purchase order required")
        self._industries = settings.get("industries_category", "Industries")
        self._above = settings.get("parent_relation", "is a subsidiary of")

    # --- reading ---------------------------------------------------------------------------------------------------
    async def get(self, ref: str) -> Customer:
        """The customer by the party's id. Raises NotFound."""
        found = await self._read([["id", "=", number_of(ref)]])
        if not found:
            raise NotFound(f"tryton has no party {ref}.")
        return self.to_customer(found[0])

    async def read(self, ids: list[int]) -> list[Customer]:
        """Customers by their ids, in that order."""
        found = {party.id: party for party in await self._read([["id", "in", ids]])}
        return [self.to_customer(found[number]) for number in ids if number in found]

    async def find(self, customer_id: str) -> Party | None:
        """The party that carries our id."""
        tagged = from_tags({_OURS: customer_id})
        found = await self._read(["OR", ["code", "=", customer_id], ["identifiers.code", "=", tagged]])
        return found[0] if found else None

    async def find_number(self, customer_id: str) -> int | None:
        """Its id at Tryton."""
        found = await self.find(customer_id)
        return found.id if found else None

    async def _read(self, domain: list[Any]) -> list[Party]:
        rows = await self._client.find_all(self._records.model, [domain], self._records.columns)
        return parsed(Party, self._records.take_all(rows))

    def to_customer(self, party: Party) -> Customer:
        """A party in our words; its first address is where invoices go."""
        ref, at = str(party.id), party.last_modified_at
        address = party.addresses[0] if party.addresses else None
        industries = [one.name for one in party.categories if one.parent and one.parent.name == self._industries]
        above = [relation.to for relation in party.relations if relation.type.name == self._above]
        content = (*party.addresses, *party.identifiers, *party.categories, *party.relations)
        return Customer(
            tenant=self._binding.tenant,
            id=mapping.customer_id(self._binding, party.id, party.code),
            source=self._binding.source(ref, mapping.to_version(at, party.name, *content), at),
            name=mapping.known(party.name, "name"),
            parent_id=self._binding.identify("customer", str(above[0])) if above else None,
            bill_to=Address(
                street=(address.street or None) if address else None,
                city=(address.city or None) if address else None,
                postal_code=(address.postal_code or None) if address else None,
                country=address.country.code if address and address.country else None,
            ),
            tax_id=_tax_id(party),
            requires_purchase_order=any(one.name == self._order_required for one in party.categories),
            industry=industries[0] if industries else None,
        )

    # --- writing ---------------------------------------------------------------------------------------------------
    async def amend(self, customer: Customer) -> Written:
        """Make the party or bring it up to date; a party that came from this CRM is only marked with our id."""
        async with self._client.alone(customer.id):
            held = await self.find(customer.id)
            is_own = customer.source.system == self._binding.system
            if held is None and is_own:
                held = await self._mark(customer)
            if held is None:
                made = await self._client.create(self._records.model, [await self._fresh(customer)])
                return await self._written(customer.id, made[0], was_created=True)
            if not is_own and (changes := await self._changes(held, customer)):
                await self._client.write(self._records.model, held.id, changes)
            return await self._written(customer.id, held.id, was_created=False)

    async def _mark(self, customer: Customer) -> Party:
        found = await self._read([["id", "=", number_of(customer.source.ref)]])
        if not found or self._binding.identify("customer", str(found[0].id)) != customer.id:
            raise NotFound(f"tryton has no party {customer.source.ref} that is customer {customer.id}.")
        tagged = {"code": from_tags({_OURS: customer.id})}
        await self._client.write(self._records.model, found[0].id, {"identifiers": [["create", [tagged]]]})
        return found[0]

    async def _fresh(self, customer: Customer) -> Json:
        body: Json = {
            "name": customer.name,
            "code": customer.id,
            "addresses": [["create", [await self._address(customer.bill_to)]]],
        }
        if customer.tax_id:
            body["identifiers"] = [["create", [{"code": from_tags({_TAX: customer.tax_id})}]]]
        return self._records.give(body)

    async def _changes(self, held: Party, customer: Customer) -> Json:
        """What of the party departs from the customer."""
        wanted, there = customer, self.to_customer(held)
        changes: Json = {}
        if there.name != wanted.name:
            changes["name"] = wanted.name
        if there.bill_to != wanted.bill_to:
            address = await self._address(wanted.bill_to)
            first = held.addresses[0].id if held.addresses else None
            changes["addresses"] = [["write", [first], address] if first else ["create", [address]]]
        if there.tax_id != wanted.tax_id:
            old = [one.id for one in held.identifiers if _TAX in to_tags(one.code)]
            fresh = [{"code": from_tags({_TAX: wanted.tax_id})}] if wanted.tax_id else []
            changes["identifiers"] = [*([["delete", old]] if old else []), *([["create", fresh]] if fresh else [])]
        return self._records.give(changes)

    async def _address(self, address: Address) -> Json:
        return {
            "street": address.street,
            "city": address.city,
            "postal_code": address.postal_code,
            "country": await self._directory.country(address.country) if address.country else None,
        }

    async def _written(self, customer_id: str, number: int, *, was_created: bool) -> Written:
        found = await self._read([["id", "=", number]])
        if not found:
            raise NotFound(f"tryton has no party {number}.")
        return mapping.to_written(self._binding, customer_id, found[0], was_created=was_created)

    async def billed(self, customer_id: str) -> tuple[int, int]:
        """(party, address) that invoices of a customer go to. Raises NotFound, MappingMissing without an address."""
        party = await self.find(customer_id)
        if party is None:
            raise NotFound(f"tryton has no customer {customer_id}.")
        if not party.addresses:
            raise MappingMissing(f"tryton: party {party.id} has no address that an invoice could go to.")
        return party.id, party.addresses[0].id


def number_of(ref: str) -> int:
    """The id a ref stands for; 0, which nothing has, for what cannot be one."""
    return int(ref) if ref.isdecimal() and len(ref) < 10 else 0  # noqa: PLR2004 - Tryton's ids have 32 bits


def _tax_id(party: Party) -> str | None:
    typed = [one.code for one in party.identifiers if one.type]
    tagged = [tags[_TAX] for one in party.identifiers if not one.type and (tags := to_tags(one.code)).get(_TAX)]
    return next(iter([*typed, *tagged]), None)
