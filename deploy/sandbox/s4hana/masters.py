"""What others refer to: company codes, products, tax records, and the installation's custom business objects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from uuid import uuid4

from deploy.sandbox.s4hana.errors import invalid
from deploy.sandbox.s4hana.records import Behaviour
from deploy.sandbox.s4hana.state import Row, Tenant

SERVICE_PRODUCT = "SERV"
_ALWAYS = date(9999, 12, 31)


def plant_company_codes(tenant: Tenant) -> None:
    """The company codes of the delivered content, and those the tenant was given."""
    table = tenant.table("A_CompanyCode")
    for company in tenant.customizing.company_codes.values():
        if table.get(company.code) is None:
            table.insert(
                {
                    "CompanyCode": company.code,
                    "CompanyCodeName": company.name[:25],
                    "CityName": "",
                    "Country": company.country,
                    "Currency": company.currency,
                    "Language": "EN",
                    "ChartOfAccounts": "YCOA",
                    "FiscalYearVariant": "K4",
                }
            )


def _fill_product(tenant: Tenant, row: Row) -> None:
    if row["ProductType"] != SERVICE_PRODUCT:
        raise invalid("M3/017", "Only service products are kept here", "ProductType")
    if not row["BaseUnit"]:
        raise invalid("M3/080", "Enter a base unit", "BaseUnit")
    row["CreationDate"] = row["LastChangeDate"] = tenant.now().date()
    row["LastChangeDateTime"] = tenant.now()


def _check_product(tenant: Tenant, row: Row, values: Row) -> None:
    del row
    values["LastChangeDateTime"] = tenant.now()
    values["LastChangeDate"] = values["LastChangeDateTime"].date()


def _product_changed(tenant: Tenant, row: Row) -> None:
    tenant.emit("product", "Product.Changed", {"Product": row["Product"]})


def _touched_product(tenant: Tenant, row: Row) -> None:
    product = tenant.table("A_Product").get(row["Product"])
    if product is not None:
        tenant.table("A_Product").change(product, {"LastChangeDateTime": tenant.now()})


def _fill_record(tenant: Tenant, row: Row) -> None:
    row["ConditionRecord"] = tenant.number("condition")
    if row["ConditionType"] != "TTX1" or row["ConditionRateValueUnit"] != "%":
        raise invalid("VK/011", "Only tax records in per cent are kept here", "ConditionType")


def _fill_validity(tenant: Tenant, row: Row) -> None:
    """A new record of the same country ends those that stood for the same days."""
    if row["ConditionValidityStartDate"] is None or not row["DepartureCountry"]:
        raise invalid("VK/041", "Enter country and validity", "ConditionValidityStartDate")
    row["ConditionValidityEndDate"] = row["ConditionValidityEndDate"] or _ALWAYS
    table = tenant.table("A_SlsPrcgCndnRecdValidity")
    for other in table.where(DepartureCountry=row["DepartureCountry"]):
        if (
            other["ConditionValidityStartDate"] <= row["ConditionValidityEndDate"]
            and row["ConditionValidityStartDate"] <= other["ConditionValidityEndDate"]
        ):
            table.remove(other)


def _fill_object(tenant: Tenant, row: Row) -> None:
    row["SAP_UUID"] = uuid4()
    row["SAP_CreatedDateTime"] = row["SAP_LastChangedDateTime"] = tenant.now()


def _check_object(tenant: Tenant, row: Row, values: Row) -> None:
    del row
    values["SAP_LastChangedDateTime"] = tenant.now()


_OBJECT = Behaviour(fill=_fill_object, check=_check_object)
BEHAVIOURS: Mapping[str, Behaviour] = {
    "A_Product": Behaviour(fill=_fill_product, made=_product_changed, check=_check_product, changed=_product_changed),
    "A_ProductDescription": Behaviour(made=_touched_product, changed=_touched_product),
    "A_SlsPrcgConditionRecord": Behaviour(fill=_fill_record),
    "A_SlsPrcgCndnRecdValidity": Behaviour(fill=_fill_validity),
    "YY1_TLLEGALENTITY": _OBJECT,
    "YY1_TLRATE": _OBJECT,
}
