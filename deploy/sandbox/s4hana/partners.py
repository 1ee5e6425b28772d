"""Business partners and what makes customers of them: roles, company codes, sales areas."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from deploy.sandbox.s4hana.customizing import DISTRIBUTION_CHANNEL, DIVISION
from deploy.sandbox.s4hana.errors import invalid
from deploy.sandbox.s4hana.records import Behaviour
from deploy.sandbox.s4hana.state import Row, Tenant

ORGANISATION = "2"
CUSTOMER_ROLES = ("FLCU00", "FLCU01")
_COUNTRY_LETTERS = 2


def _fill_partner(tenant: Tenant, row: Row) -> None:
    if row["BusinessPartnerCategory"] != ORGANISATION:
        raise invalid("R11/012", "Enter a valid business partner category", "BusinessPartnerCategory")
    if not row["OrganizationBPName1"]:
        raise invalid("R11/404", "Enter the name of the organization", "OrganizationBPName1")
    row["BusinessPartner"] = row["BusinessPartner"] or tenant.number("partner")
    row["Customer"] = row["BusinessPartner"]
    row["BusinessPartnerUUID"] = uuid4()
    row["BusinessPartnerGrouping"] = row["BusinessPartnerGrouping"] or "BP02"
    row["CreationDate"] = tenant.now().date()
    row |= _named(row) | _stamped(tenant)


def _named(row: Mapping[str, str]) -> Row:
    whole = " ".join(row[f"OrganizationBPName{n}"] for n in range(1, 5) if row[f"OrganizationBPName{n}"])
    return {"BusinessPartnerName": whole[:81], "BusinessPartnerFullName": whole[:81]}


def _stamped(tenant: Tenant) -> Row:
    moment = tenant.now()
    return {
        "LastChangeDate": moment.date(),
        "LastChangeTime": f"PT{moment.hour:02d}H{moment.minute:02d}M{moment.second:02d}S",
        "ETag": f"{moment:%Y%m%d%H%M%S%f}"[:26],
    }


def _touch(tenant: Tenant, number: str) -> None:
    partner = tenant.table("A_BusinessPartner").get(number)
    if partner is not None:
        tenant.table("A_BusinessPartner").change(partner, _stamped(tenant))


def _made_partner(tenant: Tenant, row: Row) -> None:
    """With a customer's role comes the customer; without one there is none."""
    customers = tenant.table("A_Customer")
    if customers.get(row["Customer"]) is None:
        if any(role["BusinessPartnerRole"] in CUSTOMER_ROLES for role in _roles(tenant, row["BusinessPartner"])):
            _make_customer(tenant, row)
        else:
            tenant.table("A_BusinessPartner").change(row, {"Customer": ""})
    tenant.emit("businesspartner", "BusinessPartner.Created", {"BusinessPartner": row["BusinessPartner"]})


def _roles(tenant: Tenant, number: str) -> list[Row]:
    return tenant.table("A_BusinessPartnerRole").where(BusinessPartner=number)


def _make_customer(tenant: Tenant, partner: Row) -> None:
    fields = {"Customer": partner["BusinessPartner"], "CustomerName": partner["BusinessPartnerName"][:80]}
    entity = tenant.sets["A_Customer"]
    blank = {name: False if prop.kind == "Boolean" else "" for name, prop in entity.properties.items()}
    tenant.table("A_Customer").insert(blank | fields | {"CustomerFullName": partner["BusinessPartnerName"]})


def _changed_partner(tenant: Tenant, row: Row) -> None:
    tenant.table("A_BusinessPartner").change(row, _named(row) | _stamped(tenant))
    tenant.emit("businesspartner", "BusinessPartner.Changed", {"BusinessPartner": row["BusinessPartner"]})


def _made_role(tenant: Tenant, row: Row) -> None:
    partner = tenant.table("A_BusinessPartner").get(row["BusinessPartner"])
    if partner and row["BusinessPartnerRole"] in CUSTOMER_ROLES and not partner["Customer"]:
        tenant.table("A_BusinessPartner").change(partner, {"Customer": partner["BusinessPartner"]})
        _make_customer(tenant, partner)
    _touch(tenant, row["BusinessPartner"])


def _fill_of_partner(tenant: Tenant, row: Row) -> None:
    """Whatever hangs on a partner needs one that is there, or is being made in the same deep insert."""
    if not row["BusinessPartner"]:
        raise invalid("R1/128", "Business partner is missing", "BusinessPartner")
    if tenant.table("A_BusinessPartner").get(row["BusinessPartner"]) is None:
        raise invalid("R1/100", f"Business partner {row['BusinessPartner']} does not exist", "BusinessPartner")


def _touched(tenant: Tenant, row: Row) -> None:
    _touch(tenant, row["BusinessPartner"])


def _check_address(tenant: Tenant, row: Row) -> None:
    _fill_of_partner(tenant, row)
    row["AddressID"] = row["AddressID"] or tenant.number("address")
    _check_country(tenant, row, row)


def _check_country(_: Tenant, row: Row, values: Row) -> None:
    country = values.get("Country", row["Country"])
    if not (len(country) == _COUNTRY_LETTERS and country.isalpha() and country.isupper()):
        raise invalid("AM/032", f"Country {country or '(blank)'} is not defined", "Country")


def _fill_customer(tenant: Tenant, row: Row) -> None:
    partner = tenant.table("A_BusinessPartner").get(row["Customer"])
    row["CustomerName"] = row["CustomerFullName"] = "" if partner is None else partner["BusinessPartnerName"][:80]


def _fill_company(tenant: Tenant, row: Row) -> None:
    _customer(tenant, row)
    if row["CompanyCode"] not in tenant.customizing.company_codes:
        raise invalid("F2/163", f"Company code {row['CompanyCode']} is not defined", "CompanyCode")
    if not row["ReconciliationAccount"]:
        raise invalid("F2/048", "Enter a reconciliation account", "ReconciliationAccount")
    _check_terms(tenant, row["PaymentTerms"])


def _fill_area(tenant: Tenant, row: Row) -> None:
    _customer(tenant, row)
    area = (row["SalesOrganization"], row["DistributionChannel"], row["Division"])
    if area[0] not in tenant.customizing.company_codes or area[1:] != (DISTRIBUTION_CHANNEL, DIVISION):
        raise invalid("F2/186", f"Sales area {' '.join(area)} is not defined", "SalesOrganization")
    if not row["Currency"]:
        raise invalid("F2/021", "Enter a currency for the sales area", "Currency")
    _check_terms(tenant, row["CustomerPaymentTerms"])


def _customer(tenant: Tenant, row: Row) -> None:
    if tenant.table("A_Customer").get(row["Customer"]) is None:
        raise invalid("F2/153", f"Customer {row['Customer']} does not exist", "Customer")


def _check_terms(tenant: Tenant, code: str) -> None:
    if code and not tenant.customizing.knows_terms(code):
        raise invalid("F2/101", f"Terms of payment {code} are not defined", "PaymentTerms")


def _touched_customer(tenant: Tenant, row: Row) -> None:
    _touch(tenant, row["Customer"])


_PART = Behaviour(fill=_fill_of_partner, made=_touched, changed=_touched, removed=_touched)
BEHAVIOURS: Mapping[str, Behaviour] = {
    "A_BusinessPartner": Behaviour(fill=_fill_partner, made=_made_partner, changed=_changed_partner),
    "A_BuPaIdentification": _PART,
    "A_BusinessPartnerTaxNumber": _PART,
    "A_BusinessPartnerRole": Behaviour(fill=_fill_of_partner, made=_made_role),
    "A_BusinessPartnerAddress": Behaviour(
        fill=_check_address, made=_touched, check=_check_country, changed=_touched, removed=_touched
    ),
    "A_Customer": Behaviour(fill=_fill_customer, changed=_touched_customer),
    "A_CustomerCompany": Behaviour(fill=_fill_company, made=_touched_customer, changed=_touched_customer),
    "A_CustomerSalesArea": Behaviour(fill=_fill_area, made=_touched_customer, changed=_touched_customer),
    "A_CustomerSalesAreaTax": Behaviour(made=_touched_customer, changed=_touched_customer),
}
