"""Customers: the party by REST, its account and bill-to site by the customer account service (SOAP)."""

from __future__ import annotations

from xml.sax.saxutils import escape

from shared.canonical.customers import Customer
from shared.canonical.references import Written
from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift
from shared.outbound import drift
from system_apis.connectors.oracle_fusion import mapping
from system_apis.connectors.oracle_fusion.account import Account
from system_apis.connectors.oracle_fusion.client import VENDOR, Children, Item
from system_apis.connectors.oracle_fusion.payloads import AddressRow, OrganizationRow
from system_apis.connectors.oracle_fusion.places import Entity, Party
from system_apis.ports.outcomes import begun

SERVICE = "/crmService/CustomerAccountService"
_NAMESPACE = "http://xmlns.oracle.com/apps/cdm/foundation/parties/customerAccountService/"
_TYPES = _NAMESPACE + "applicationModule/types/"
_ACTION = _NAMESPACE + "applicationModule/mergeCustomerAccount"
_MODULE = "HZ_WS"


class Customers:
    """Parties and accounts of one pod."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def amend(self, customer: Customer, legal_entity_code: str) -> Written:
        """Upsert of the party; the account and a site of the legal entity's set are made where they are missing."""
        entity = await self._account.directory.entity(legal_entity_code)
        party_body = self._account.give("customer", mapping.from_customer(customer))
        address = self._account.give("bill_to", mapping.from_bill_to(customer))
        async with self._account.writers.of(customer.id):
            held = await self._account.directory.find_party(customer.id)
            written = await self._account.client.create(
                "hubOrganizations", {**party_body, "Address": [address]}, upserts=True
            )
            row = self._account.take("customer", written.row, OrganizationRow)
            party = held
            if party is None or entity.customer_set not in party.sites:
                with begun(VENDOR, f"customer {customer.id}"):
                    site = await self._site(written, customer.id)
                    await self._account.client.envelope(
                        SERVICE, _ACTION, envelope(customer.id, row.party_id, site, entity, party)
                    )
                    party = await self._account.directory.find_party(customer.id)
                if party is None or entity.customer_set not in party.sites:
                    raise OutcomeUnknown(f"oracle_fusion took the account of {customer.id} but does not have it.")
        return Written(
            id=customer.id,
            source=self._account.binding.source(
                str(party.account_id), row.last_update_date.isoformat(), row.last_update_date
            ),
            was_created=held is None,
        )

    async def _site(self, party: Item, customer_id: str) -> int:
        given = party.row.get("Address")
        places = self._account.fields["bill_to"]
        rows = given if isinstance(given, Children) and given.is_whole else None
        if rows is None:
            path = f"hubOrganizations/{party.key}/child/Address"
            rows = [item.row for item in await self._account.client.items(path)]
        for row in rows:
            address = drift(VENDOR, AddressRow, places.take(row))
            if address.address_number == f"{customer_id[:28]}-B":
                return address.address_id
        finding = FieldFinding("Address.AddressNumber", "is not that which was given")
        raise VendorDrift(f"oracle_fusion does not show the address of {customer_id}.", findings=[finding])

    async def find(self, customer_id: str) -> Written | None:
        """Where the account stands; a party without an account cannot be billed and counts as none."""
        party = await self._account.directory.find_party(customer_id)
        if party is None:
            return None
        version = mapping.to_version(party.account_id, *sorted(party.sites))
        return Written(
            id=customer_id, source=self._account.binding.source(str(party.account_id), version), was_created=False
        )


def envelope(customer_id: str, party_id: int, address_id: int, entity: Entity, held: Party | None) -> str:
    """The account with one bill-to site in the legal entity's set; a known account gets the site only."""
    known = f"<cus:CustomerAccountId>{held.account_id}</cus:CustomerAccountId>" if held else ""
    number = escape(customer_id)
    account = (
        known
        or f"<cus:AccountNumber>{number}</cus:AccountNumber><cus:OrigSystem>{mapping.SOURCE}</cus:OrigSystem>"
        f"<cus:OrigSystemReference>{number}</cus:OrigSystemReference>"
    )
    made = f"<cus:CreatedByModule>{_MODULE}</cus:CreatedByModule>"
    return (
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns:typ="{_TYPES}" xmlns:cus="{_NAMESPACE}"><soapenv:Header/><soapenv:Body>'
        f"<typ:mergeCustomerAccount><typ:customerAccount>{account}<cus:PartyId>{party_id}</cus:PartyId>{made}"
        f"<cus:CustomerAccountSite><cus:PartySiteId>{address_id}</cus:PartySiteId>{made}"
        f"<cus:SetId>{entity.customer_set}</cus:SetId>"
        f"<cus:CustomerAccountSiteUse><cus:SiteUseCode>BILL_TO</cus:SiteUseCode>{made}</cus:CustomerAccountSiteUse>"
        "</cus:CustomerAccountSite></typ:customerAccount></typ:mergeCustomerAccount>"
        "</soapenv:Body></soapenv:Envelope>"
    )
