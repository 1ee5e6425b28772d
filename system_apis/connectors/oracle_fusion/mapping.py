"""Oracle's words to ours and back; total functions without effects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from shared.canonical.billing import BillingSchedule, ErpContract, ScheduleEntry
from shared.canonical.billing import ContractLine as SoldLine
from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from shared.canonical.references import PREFIXES
from shared.errors.taxonomy import FieldFinding, InvalidRequest, MappingMissing
from system_apis.connectors.oracle_fusion.payloads import (
    ProductRow,
    ProjectRow,
    RateRow,
    ScheduleRow,
)
from system_apis.connectors.oracle_fusion.places import Entity, Party, PlacedContract, PlacedProject
from system_apis.ports.binding import Binding

Body = dict[str, Any]
SOURCE = "THROUGHLINE"
_KEEPABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,29}")
_LONGEST_LINE = 240
_STREETS = ("Address1", "Address2", "Address3", "Address4")
ZERO = Decimal(0)


def is_keepable(identifier: str) -> bool:
    """Whether the pod can hold a record under this id of ours; one it cannot hold is surely not there."""
    return _KEEPABLE.fullmatch(identifier) is not None


def keepable(identifier: str) -> str:
    """The id. Raises InvalidRequest for one that the pod's shortest reference cannot hold."""
    if not is_keepable(identifier):
        finding = FieldFinding("id", "Oracle's party and account numbers take 30 plain characters at most")
        raise InvalidRequest(f"{identifier!r} cannot be kept in oracle_fusion.", findings=[finding])
    return identifier


def is_ours(entity: str, reference: str | None) -> bool:
    """Whether a reference can be one that we gave to such an entity."""
    return reference is not None and reference.startswith(f"{PREFIXES[entity]}_") and is_keepable(reference)


def to_version(moment: object, *content: object) -> str:
    """A version marker: the instant of the change and a digest of what matters."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in content).encode()).hexdigest()[:8]
    return f"{moment}-{digest}"


# --- reference data ----------------------------------------------------------------------------------------------
def to_legal_entity(binding: Binding, entity: Entity) -> LegalEntity:
    """A legal entity by the code people know it by."""
    version = to_version(
        entity.modified_at, entity.name, entity.country, entity.currency, entity.is_approved, entity.tax_rate
    )
    return LegalEntity(
        tenant=binding.tenant,
        id=binding.identify("legal_entity", entity.code),
        source=binding.source(str(entity.legal_entity_id), version, entity.modified_at),
        code=entity.code,
        name=entity.name,
        country=entity.country,
        currency=entity.currency,
        is_approved=entity.is_approved,
        standard_tax_rate=entity.tax_rate,
    )


def to_service_item(binding: Binding, row: ProductRow, items: Mapping[str, str]) -> ServiceItem:
    """A product with the item it is invoiced as. Raises MappingMissing where that item is not there."""
    code = row.segments.item_code
    if code not in items:
        finding = FieldFinding(
            f"lookupCodes.{row.lookup_code}", f"names item {code}, which oracle_fusion does not list"
        )
        raise MappingMissing(f"oracle_fusion: product {row.meaning} names item {code}.", findings=[finding])
    version = to_version(row.last_update_date, row.meaning, code, row.segments.revenue_account, items[code])
    return ServiceItem(
        tenant=binding.tenant,
        id=binding.identify("service_item", row.lookup_code),
        source=binding.source(row.lookup_code, version, row.last_update_date),
        product_code=row.meaning,
        item_code=code,
        name=items[code],
        revenue_account=row.segments.revenue_account,
    )


def to_rate_card(binding: Binding, schedule: ScheduleRow, rows: Sequence[RateRow]) -> RateCard:
    """A rate schedule with its prices."""
    latest = max([schedule.last_update_date, *(row.last_update_date for row in rows)])
    content = [(row.project_role_name, row.rate, row.start_date_active, row.end_date_active) for row in rows]
    return RateCard(
        tenant=binding.tenant,
        id=binding.identify("rate_card", str(schedule.rate_schedule_id)),
        source=binding.source(str(schedule.rate_schedule_id), to_version(latest, *content), latest),
        code=schedule.schedule_name,
        currency=schedule.currency_code,
        rates=tuple(
            Rate(
                role=row.project_role_name,
                rate=row.rate,
                effective_from=row.start_date_active,
                effective_to=row.end_date_active,
            )
            for row in rows
        ),
    )


# --- customers ---------------------------------------------------------------------------------------------------
def from_customer(customer: Customer) -> Body:
    """The party of a customer, without its addresses."""
    return {
        "PartyNumber": keepable(customer.id),
        "OrganizationName": customer.name,
        "PartyUsageCode": "CUSTOMER",
        "TaxpayerIdentificationNumber": customer.tax_id,
        "OrganizationDEO_ThroughlineIndustry_c": customer.industry,
        "OrganizationDEO_ThroughlineParent_c": customer.parent_id,
        "OrganizationDEO_ThroughlinePoRequired_c": customer.requires_purchase_order,
    }


def from_bill_to(customer: Customer) -> Body:
    """The address invoices go to. Raises InvalidRequest where Oracle could not hold it."""
    bill_to = customer.bill_to
    lines = [line.strip() for line in (bill_to.street or "").splitlines() if line.strip()]
    missing = [name for name, value in (("street", lines), ("country", bill_to.country)) if not value]
    if missing or len(lines) > len(_STREETS):
        field = missing[0] if missing else "street"
        reason = "Oracle holds no address without it" if missing else "Oracle holds four lines"
        finding = FieldFinding(f"body.bill_to.{field}", reason)
        raise InvalidRequest(f"Customer {customer.id} has no address to be billed at.", findings=[finding])
    return {
        "AddressNumber": f"{customer.id[:28]}-B",
        "AddressType": "BILL_TO",
        **dict.fromkeys(_STREETS),
        **dict(zip(_STREETS, lines, strict=False)),
        "City": bill_to.city,
        "PostalCode": bill_to.postal_code,
        "Country": bill_to.country,
    }


# --- projects ----------------------------------------------------------------------------------------------------
def project_name(plan: ProjectPlan) -> str:
    """Names of projects are unique in Oracle, those of deals are not: the contract's number tells them apart."""
    suffix = f" ({plan.contract_reference})"
    return plan.name[: 240 - len(suffix)] + suffix


def plain_name(row: ProjectRow) -> str:
    """A project's name as the deal has it."""
    contract = row.segments.contract if row.segments else None
    return row.project_name.removesuffix(f" ({contract})") if contract else row.project_name


def from_project(plan: ProjectPlan, *, entity: Entity, template: str) -> Body:
    """The header of a project."""
    return {
        "ProjectName": project_name(plan),
        "ProjectDescription": plan.name,
        "ProjectStatusCode": "ACTIVE",
        "ProjectStartDate": plan.start_on,
        "ProjectCurrencyCode": plan.budget.currency,
        "BusinessUnitName": entity.business_unit,
        "SourceApplicationCode": SOURCE,
        "SourceProjectReference": keepable(plan.id),
        "SourceTemplateNumber": template,
        "ProjectDFF": {
            "throughlineOpportunity": plan.opportunity_reference,
            "throughlineContract": plan.contract_reference,
            "throughlineTemplate": plan.template,
            "throughlineBudget": plan.budget.amount,
        },
    }


def from_workstream(workstream: Workstream, number: str) -> Body:
    """The task of a workstream, at the top of the breakdown."""
    return {
        "TaskNumber": number,
        "TaskName": workstream.name,
        "TaskStartDate": workstream.start_on,
        "SourceTaskReference": keepable(workstream.id),
        "TaskDFF": {
            "throughlineItem": workstream.item_code,
            "throughlineBillingModel": workstream.billing_model.value,
            "throughlineAmount": workstream.budget.amount,
            "throughlineReference": None,
        },
    }


def from_milestone(milestone: MilestonePlan, number: str, parent: str) -> Body:
    """The task of a milestone, beneath its workstream's."""
    return {
        "TaskNumber": number,
        "TaskName": milestone.name,
        "ParentTaskNumber": parent,
        "TaskFinishDate": milestone.due_on,
        "SourceTaskReference": keepable(milestone.id),
        "TaskDFF": {"throughlineAmount": milestone.amount.amount, "throughlineReference": milestone.reference},
    }


# --- contracts and schedules -------------------------------------------------------------------------------------
def from_contract(contract: ErpContract, *, entity: Entity, party: Party, kind: int) -> Body:
    """The header of a contract."""
    total = sum((line.amount.amount for line in contract.lines), ZERO)
    return {
        "ContractNumber": contract.reference,
        "ContractTypeId": kind,
        "OrgId": entity.business_unit_id,
        "LegalEntityId": entity.legal_entity_id,
        "BuyOrSell": "S",
        "PrimaryPartyId": party.party_id,
        "CurrencyCode": contract.currency,
        "StartDate": contract.starts_on,
        "EstimatedAmount": total,
        "Cognomen": contract.reference,
        "ExternalSource": SOURCE,
        "ExternalKey": keepable(contract.id),
        "ContractHeaderFlexfieldVA": {
            "throughlineProject": contract.project_id,
            "throughlineCustomer": contract.customer_id,
            "throughlineRateCard": contract.rate_card_code,
            "throughlinePurchaseOrder": contract.purchase_order,
            "throughlinePaymentDays": contract.payment_terms_days,
            "throughlineCap": contract.cap.amount if contract.cap else None,
        },
    }


def from_contract_line(line: SoldLine, *, kind: str, items: Mapping[str, str]) -> Body:
    """A line; its number is left out, as pods number lines themselves."""
    return {
        "LineTypeName": kind,
        "ItemName": items[line.item_code][:300],
        "LineDescription": line.description,
        "LineAmount": line.amount.amount,
        "ExternalSource": SOURCE,
        "ExternalKey": keepable(line.workstream_id),
        "ContractAllLineDesFlexVA": {"throughlineBillingModel": line.billing_model.value},
    }


def from_link(line: SoldLine, project: PlacedProject) -> Body:
    """Which task of which project a contract line pays for."""
    task = project.tasks.get(line.workstream_id)
    return {"ProjectId": project.project_id, "TaskNumber": task, "FundingAmount": line.amount.amount}


def event_reference(schedule_id: str, milestone_id: str) -> str:
    """Our reference of a billing event."""
    return f"{schedule_id}:{milestone_id}"


def from_schedule_entry(
    schedule: BillingSchedule,
    entry: ScheduleEntry,
    *,
    contract: PlacedContract,
    project: PlacedProject,
    unit: str,
    kind: str,
) -> Body:
    """The billing event of an entry, on hold: what falls due is billed by our invoices, not by the pod's run.

    Whether it was billed is not sent: a repeat must not reset it.
    """
    line = contract.lines.get(entry.workstream_id)
    if line is None:
        finding = FieldFinding("body.entries.workstream_id", "is not on the contract")
        raise InvalidRequest(
            f"Workstream {entry.workstream_id} is not on contract {schedule.contract_id}.", findings=[finding]
        )
    return {
        "SourceName": SOURCE,
        "SourceReference": event_reference(keepable(schedule.id), entry.milestone_id),
        "EventTypeName": kind,
        "EventDescription": f"{entry.name} ({entry.reference})"[:_LONGEST_LINE],
        "ContractTypeName": contract.kind,
        "ContractNumber": contract.number,
        "ContractLineNumber": line,
        "BusinessUnitName": unit,
        "ProjectNumber": project.number,
        "TaskNumber": project.tasks.get(entry.milestone_id) or project.tasks.get(entry.workstream_id),
        "CompletionDate": entry.due_on,
        "BillTrnsAmount": entry.amount.amount,
        "BillTrnsCurrencyCode": schedule.currency,
        "BillHold": "Y",
    }
