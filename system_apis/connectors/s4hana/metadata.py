"""What S/4HANA says of its own sets: `$metadata` read into field facts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from shared.errors.taxonomy import VendorDrift
from system_apis.connectors.s4hana.client import (
    BILLING,
    COMPANIES,
    ENTITIES,
    LEDGER,
    ORDERS,
    PARTNERS,
    PRODUCTS,
    PROJECTS,
    RATES,
    REQUESTS,
    S4Client,
)
from system_apis.ports.schema import FieldFacts

VENDOR = "s4hana"
_EDM = "{http://schemas.microsoft.com/ado/2008/09/edm}"
_SAP = "{http://www.sap.com/Protocols/SAPData}"
SERVICE_OF: Mapping[str, str] = {
    "A_BusinessPartner": PARTNERS,
    "A_EnterpriseProject": PROJECTS,
    "A_EnterpriseProjectElement": PROJECTS,
    "A_SalesOrder": ORDERS,
    "A_SalesOrderItem": ORDERS,
    "A_SlsOrderItemBillingPlanItem": ORDERS,
    "A_DebitMemoRequest": REQUESTS,
    "A_DebitMemoRequestItem": REQUESTS,
    "A_BillingDocument": BILLING,
    "GLAccountLineItem": LEDGER,
    "A_CompanyCode": COMPANIES,
    "A_Product": PRODUCTS,
    "YY1_TLLEGALENTITY": ENTITIES,
    "YY1_TLRATE": RATES,
}


async def describe(client: S4Client, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
    """Set → its fields; a set that no service of ours has is left out."""
    services = sorted({SERVICE_OF[name] for name in objects if name in SERVICE_OF})
    documents = await asyncio.gather(*(client.metadata(service) for service in services))
    told: dict[str, Sequence[FieldFacts]] = {}
    for service, document in zip(services, documents, strict=True):
        if document is None:
            continue
        described = read_metadata(document)
        told |= {name: described[name] for name in objects if SERVICE_OF.get(name) == service and name in described}
    return told


def read_metadata(document: bytes) -> dict[str, list[FieldFacts]]:
    """Every set of a service (OData 2) with its fields. Raises VendorDrift for what is no such description."""
    if b"<!DOCTYPE" in document:
        raise VendorDrift(f"{VENDOR} answered metadata with a document type of its own.")
    try:
        root = ET.fromstring(document)  # noqa: S314 - no document type, so no entities to expand
    except ET.ParseError as error:
        raise VendorDrift(f"{VENDOR} answered metadata that is not XML.", detail=str(error)) from error
    types = {kind.get("Name", ""): kind for kind in root.iter(f"{_EDM}EntityType")}
    sets: dict[str, list[FieldFacts]] = {}
    for entity in root.iter(f"{_EDM}EntitySet"):
        kind = types.get((entity.get("EntityType") or "").rpartition(".")[2])
        if kind is not None:
            keys = {ref.get("Name") for ref in kind.iter(f"{_EDM}PropertyRef")}
            sets[entity.get("Name", "")] = [_facts(prop, keys) for prop in kind.findall(f"{_EDM}Property")]
    if not sets:
        raise VendorDrift(f"{VENDOR} answered metadata without entity sets.")
    return sets


def _facts(prop: ET.Element, keys: set[str | None]) -> FieldFacts:
    """A key may be missing in what we send: S/4HANA gives the numbers."""
    name = prop.get("Name", "")
    length = prop.get("MaxLength")
    is_writable = prop.get(f"{_SAP}creatable") != "false" or prop.get(f"{_SAP}updatable") != "false"
    return FieldFacts(
        name=name,
        kind=f"{prop.get('Type', '')}({length})" if length else prop.get("Type", ""),
        label=prop.get(f"{_SAP}label", ""),
        is_required=prop.get("Nullable") == "false" and name not in keys,
        is_writable=is_writable,
    )
