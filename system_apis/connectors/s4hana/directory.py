"""The connector's directory: codes and our ids to S/4HANA's numbers, kept for a short while; reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotFound, UnknownReference
from shared.outbound import drift
from system_apis.connectors.s4hana.client import COMPANIES, ENTITIES, PARTNERS, Json, Query, S4Client, quoted
from system_apis.connectors.s4hana.mapping import Organisation, is_keepable
from system_apis.connectors.s4hana.payloads import (
    CompanyRow,
    EntityRow,
    IdentificationRow,
    PartnerRow,
    Payload,
    unpadded,
)
from system_apis.connectors.s4hana.settings import Settings
from system_apis.dialects.odata import any_of
from system_apis.fields import EntityFields, FieldMap
from system_apis.ports.kept import Kept

VENDOR = "s4hana"
MOST_KEPT = 50_000
AT_ONCE = 40
"""Values in one condition: addresses have an end."""


class Directory:
    """Legal entities are at most a minute old, one not found is looked for afresh; customers keep their numbers."""

    def __init__(self, client: S4Client, fields: FieldMap, settings: Settings) -> None:
        self._client = client
        self._fields = fields
        self._settings = settings
        self._organisations = Kept(self._read)
        self._partners: dict[str, PartnerRow] = {}
        self._ours: dict[str, str] = {}

    def forget(self) -> None:
        """S/4HANA refused a reference: nothing kept is trusted any more."""
        self._partners.clear()
        self._ours.clear()
        self._organisations.forget()

    async def organisations(self) -> tuple[Organisation, ...]:
        """Every legal entity with its company code, as they are now."""
        return await self._organisations.get(younger_than=0.0)

    async def _read(self) -> tuple[Organisation, ...]:
        entities, companies = self._fields["legal_entity"], self._fields["company_code"]
        entity_rows, company_rows = await asyncio.gather(
            self._client.rows(ENTITIES, entities.object, Query(select=selected(EntityRow, entities), order="Code")),
            self._client.rows(COMPANIES, companies.object, Query(select=selected(CompanyRow, companies))),
        )
        known = {
            company.code: company
            for company in (drift(VENDOR, CompanyRow, companies.take(row)) for row in company_rows)
        }
        found: list[Organisation] = []
        for row in entity_rows:
            entity = drift(VENDOR, EntityRow, entities.take(row))
            if (company := known.get(entity.company)) is not None:
                found.append(Organisation(entity, company))
        return tuple(found)

    async def organisation(self, code: str) -> Organisation:
        """The legal entity. Raises UnknownReference."""
        found = await self._organisations.find(
            lambda held: next((one for one in held if one.entity.code == code), None)
        )
        if found is None:
            raise unknown("legal_entity_code", f"{VENDOR} has no legal entity {code}")
        return found

    async def code_of(self, company: str, sales_organization: str) -> str | None:
        """The legal entity that bills from there, or None where it is none of ours."""

        def look(held: Sequence[Organisation]) -> str | None:
            near = [one.entity for one in held if one.entity.company == company]
            exact = [one for one in near if one.sales_organization == sales_organization]
            return (exact or near)[0].code if near else None

        return await self._organisations.find(look)

    # --- customers -----------------------------------------------------------------------------------------------
    async def partner(self, customer_id: str) -> PartnerRow:
        """The customer's business partner. Raises NotFound."""
        known = self._partners.get(customer_id)
        found = known or await self.find_partner(customer_id)
        if found is None:
            raise NotFound(f"{VENDOR} has no customer with our id {customer_id}; it must be written first")
        return found

    async def find_partner(self, customer_id: str) -> PartnerRow | None:
        """The business partner that carries our id, read afresh, or None."""
        if not is_keepable(customer_id):
            return None
        kind = quoted(self._settings.identification_type)
        where = f"BPIdentificationType eq {kind} and BPIdentificationNumber eq {quoted(customer_id)}"
        rows = await self._client.rows(PARTNERS, "A_BuPaIdentification", Query(where=where))
        if not rows:
            return None
        number = min(drift(VENDOR, IdentificationRow, row).partner for row in rows)
        query = Query(select=("BusinessPartner", "BusinessPartnerUUID", "ETag"))
        row = await self._client.find(PARTNERS, "A_BusinessPartner", number, query)
        if row is None:
            return None
        partner = drift(VENDOR, PartnerRow, row)
        self.keep(customer_id, partner)
        return partner

    def keep(self, customer_id: str, partner: PartnerRow) -> None:
        """Remember a customer that was just seen."""
        if len(self._partners) >= MOST_KEPT:
            self._partners.clear()
            self._ours.clear()
        self._partners[customer_id] = partner
        self._ours[partner.partner] = customer_id

    async def customers(self, numbers: Iterable[str]) -> Mapping[str, str]:
        """Number of a customer → our id, of those that carry one."""
        missing = sorted(set(numbers) - self._ours.keys())
        for at in range(0, len(missing), AT_ONCE):
            kind = quoted(self._settings.identification_type)
            listed = any_of("BusinessPartner", missing[at : at + AT_ONCE], 2)
            where = f"BPIdentificationType eq {kind} and {listed}"
            for row in await self._client.rows(PARTNERS, "A_BuPaIdentification", Query(where=where)):
                found = drift(VENDOR, IdentificationRow, row)
                if is_keepable(found.number):
                    self._ours[found.partner] = found.number
        return self._ours

    async def uuid(self, customer_id: str) -> UUID:
        """The customer as projects point at it."""
        return (await self.partner(customer_id)).uuid


def selected(model: type[Payload], fields: EntityFields) -> Sequence[str]:
    """The columns a payload needs, where this tenant keeps them."""
    return fields.columns(str(one.alias or name) for name, one in model.model_fields.items())


def taken(rows: Iterable[Json], fields: EntityFields) -> list[Json]:
    """Rows with moved fields put right."""
    return [fields.take(row) for row in rows]


def kept_id(identifier: str, *, is_good: bool) -> str:
    """Our id, if S/4HANA can keep it. Raises InvalidRequest."""
    if not is_good:
        reason = "S/4HANA keeps ids of 24 small letters and digits (projects) or 60 characters (others)"
        raise InvalidRequest(f"{identifier!r} cannot be kept in S/4HANA.", findings=[FieldFinding("id", reason)])
    return identifier


def number_of(text: str) -> str:
    """A number in the one form we compare in."""
    return unpadded(text)


def unknown(field: str, sentence: str) -> UnknownReference:
    """A value of ours that names nothing there."""
    return UnknownReference(sentence, findings=[FieldFinding(f"body.{field}", sentence)])
