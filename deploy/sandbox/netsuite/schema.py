"""What records the account has: fields with their kinds, required ones, sublists; facts, no behaviour."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["text", "number", "money", "boolean", "date", "datetime", "duration", "reference", "enum", "subrecord"]
_SPEC = re.compile(r"(?P<name>\w+)(?::(?P<kind>\w+))?(?:\((?P<of>[^)]*)\))?(?P<read_only>!)?$")
_SHORT: Mapping[str, Kind] = {
    "": "text", "num": "number", "money": "money", "bool": "boolean", "date": "date", "at": "datetime",
    "duration": "duration", "ref": "reference", "enum": "enum", "sub": "subrecord",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field: `target` is the record type or family a reference points at, `options` the ids of an enum."""

    name: str
    kind: Kind
    target: str = ""
    options: tuple[str, ...] = ()
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class RecordType:
    """One record type. Types of one family share internal ids and external ids, as entities and transactions do."""

    name: str
    family: str
    fields: Mapping[str, FieldType]
    required: tuple[str, ...] = ()
    sublists: Mapping[str, Mapping[str, FieldType]] = field(default_factory=dict[str, "Mapping[str, FieldType]"])
    title: str = "name"
    type_code: str = ""
    transforms: tuple[str, ...] = ()

    def without(self, names: Collection[str]) -> RecordType:
        """The record type after these custom fields were deleted."""
        kept = {sublist: _kept(fields, names) for sublist, fields in self.sublists.items()}
        required = tuple(name for name in self.required if name not in names)
        return replace(self, fields=_kept(self.fields, names), required=required, sublists=kept)


def _kept(fields: Mapping[str, FieldType], names: Collection[str]) -> dict[str, FieldType]:
    return {name: field for name, field in fields.items() if name not in names}


def _fields(spec: str) -> dict[str, FieldType]:
    fields: dict[str, FieldType] = {}
    for word in spec.split():
        match = _SPEC.match(word)
        if match is None:
            raise ValueError(f"field spec {word!r}")
        kind = _SHORT[match["kind"] or ""]
        of = match["of"] or ""
        fields[match["name"]] = FieldType(
            match["name"],
            kind,
            target=of if kind == "reference" else "",
            options=tuple(of.split("|")) if kind == "enum" and of else (),
            is_read_only=bool(match["read_only"]),
        )
    return fields


_EVERY = "id! externalId isInactive:bool lastModifiedDate:at! "
_OURS = (
    "custbody_tl_contract custbody_tl_project custbody_tl_period custbody_tl_reference custbody_tl_cap:num "
    "custbody_tl_customer custbody_tl_rate_card custbody_firm_period "
)
_LINES = "line:num item:ref(item) quantity:num rate:num amount:money description job:ref(job) custcol_tl_workstream custcol_tl_line billingSchedule:ref(billingSchedule) taxDetailsReference "  # noqa: E501 - a table
_SALE = (
    _EVERY
    + _OURS
    + "tranId entity:ref(entity) job:ref(job) subsidiary:ref(subsidiary) currency:ref(currency) exchangeRate:num "
    + "tranDate:date terms:ref(term) otherRefNum memo location department class createdFrom:ref(transaction)! "
    + "subtotal:money! taxTotal:money total:money! createdDate:at! startDate:date endDate:date "
    + "taxDetailsOverride:bool taxRegOverride:bool "
)
_TAXES = "taxDetailsReference taxType:enum taxCode:enum taxBasis:money taxRate:num taxAmount:money"
_APPLY = "line:num doc:ref(transaction) apply:bool amount:money disc:money total:money! due:money! refNum!"


def _record(
    name: str,
    spec: str,
    *,
    family: str = "",
    required: str = "",
    title: str = "name",
    type_code: str = "",
    transforms: str = "",
    **sublists: str,
) -> RecordType:
    return RecordType(
        name,
        family or name,
        _fields(spec if spec.startswith(_EVERY) else _EVERY + spec),
        tuple(required.split()),
        {sublist: _fields(line) for sublist, line in sublists.items()},
        title,
        type_code,
        tuple(transforms.split()),
    )


_ALL = (
    _record(
        "customer",
        "entityId companyName isPerson:bool firstName lastName email phone subsidiary:ref(subsidiary) "
        "parent:ref(customer) currency:ref(currency) terms:ref(term) taxable:bool defaultTaxReg vatRegNumber "
        "receivablesAccount:ref(account) "
        "salesRep:ref(employee) entityStatus:enum creditLimit:num balance:money! overdueBalance:money! "
        "daysOverdue:num! custentity_tl_po_required:bool custentity_tl_industry custentity_firm_branch dateCreated:at!",
        family="entity",
        required="companyName subsidiary",
        title="companyName",
        addressBook="internalId:num defaultBilling:bool defaultShipping:bool isResidential:bool label addressId "
        "addressBookAddress:sub",
        currencyList="currency:ref(currency) balance:money!",
        taxRegistration="id:num nexusCountry:sub taxRegistrationNumber",
    ),
    _record(
        "customerSubsidiaryRelationship",
        "entity:ref(entity) subsidiary:ref(subsidiary) isPrimarySub:bool primaryCurrency:ref(currency)",
        required="entity subsidiary",
        title="id",
    ),
    _record(
        "job",
        "entityId companyName parent:ref(customer) subsidiary:ref(subsidiary) currency:ref(currency) "
        "entityStatus:enum(1|2|3|4|5) jobBillingType:enum(1|2|3|4|5) billingRateCard:ref(billingRateCard) "
        "billingSchedule:ref(billingSchedule) jobItem:ref(item) jobPrice:money startDate:date projectedEndDate:date "
        "endDate:date projectManager:ref(employee) estimatedCost:money estimatedRevenue:money percentComplete:num "
        "allowTime:bool allowExpenses:bool createChargeRule:bool custentity_tl_opportunity custentity_tl_contract "
        "custentity_tl_template dateCreated:at!",
        family="entity",
        required="companyName parent subsidiary",
        title="companyName",
    ),
    _record(
        "projectTask",
        "title project:ref(job) parent:ref(projectTask) estimatedWork:num actualWork:duration! startDateTime:at "
        "endDate:date constraintType:enum(FIXEDSTART|ASAP) finishByDate:date priority:enum(HIGH|MEDIUM|LOW) "
        "status:enum(NOTSTART|PROGRESS|COMPLETE) nonBillableTask:bool owner:ref(employee) message "
        "custevent_tl_billing_model custevent_tl_budget:num",
        required="title project",
        title="title",
        assignee="resource:ref(employee) serviceItem:ref(item) units:num plannedWork:num estimatedWork:num unitCost:num unitPrice:num",  # noqa: E501 - a table
        predecessor="predecessor:ref(projectTask) type:enum(FS|SS|FF|SF) lagDays:num",
    ),
    _record(
        "billingSchedule",
        "name scheduleType:enum(1|2|3|4|5) frequency:enum initialAmount:num inArrears:bool isPublic:bool job:ref(job) "
        "applyToSubtotal:bool seriesStartDate:date numberRemaining:num repeatEvery:enum transaction:ref(transaction)",
        required="name scheduleType",
        milestone="milestoneId:num milestoneAmount:money milestoneDate:date milestoneActualCompletionDate:date "
        "milestoneCompleted:bool milestoneTerms:ref(term) projectTask:ref(projectTask) comments",
        recurrence="recurrenceId:num amount:num count:num units:enum(DAY|WEEK|MONTH) recurrenceDate:date",
    ),
    _record(
        "salesOrder",
        _SALE + "orderStatus:enum(A|B|F|G|H) status!",
        family="transaction",
        required="entity item",
        title="tranId",
        type_code="SalesOrd",
        transforms="invoice",
        item=_LINES,
    ),
    _record(
        "invoice",
        _SALE + "dueDate:date postingPeriod:ref(accountingPeriod) account:ref(account) asOfDate:date "
        "approvalStatus:enum(1|2|3|11) status:enum(A|B|D|E|V)! amountPaid:money! amountRemaining:money! "
        "whichChargesToAdd:enum(ALL|TRANSACTION_DATE|AS_OF_DATE) deferredRevenue:money! recognizedRevenue:money! "
        "email toBeEmailed:bool",
        family="transaction",
        required="entity item",
        title="tranId",
        type_code="CustInvc",
        transforms="creditMemo customerPayment",
        item=_LINES,
        taxDetails=_TAXES,
    ),
    _record(
        "creditMemo",
        _SALE + "postingPeriod:ref(accountingPeriod) account:ref(account) applied:money! unapplied:money! status!",
        family="transaction",
        required="entity item",
        title="tranId",
        type_code="CustCred",
        item=_LINES,
        apply=_APPLY,
    ),
    _record(
        "customerPayment",
        _EVERY + "tranId customer:ref(entity) account:ref(account) currency:ref(currency) subsidiary:ref(subsidiary) "
        "payment:money tranDate:date postingPeriod:ref(accountingPeriod) memo applied:money! unapplied:money! status! "
        "createdDate:at! createdFrom:ref(transaction)!",
        family="transaction",
        required="customer",
        title="tranId",
        type_code="CustPymt",
        apply=_APPLY,
    ),
    _record(
        "timeBill",
        "employee:ref(employee) customer:ref(entity) caseTaskEvent:ref(projectTask) item:ref(item) tranDate:date "
        "hours:duration memo isBillable:bool rate:num overrideRate:bool approvalStatus:enum(1|2|3|4) "
        "supervisorApproval:bool timeType:enum(P|A|B) rejectionNote createdDate:at!",
        required="employee hours",
        title="id",
    ),
    _record(
        "charge",
        "billTo:ref(entity) billingItem:ref(item) billDate:date chargeDate:date quantity:num rate:num amount:money "
        "stage:enum(NON_BILLABLE|READY_FOR_BILLING|HOLD_FOR_BILLING) use:enum(Forecast|Actual) "
        "projectTask:ref(projectTask) timeRecord:ref(timeBill) salesOrder:ref(transaction) "
        "invoice:ref(transaction)! memo createdDate:at!",
        required="billTo billingItem",
        title="id",
    ),
    _record(
        "serviceSaleItem",
        "itemId displayName itemType! salesDescription incomeAccount:ref(account) "
        "custitem_tl_product_codes createdDate:at!",
        family="item",
        required="itemId",
        title="itemId",
    ),
    _record(
        "subsidiary",
        "name legalName country:enum currency:ref(currency) parent:ref(subsidiary) isElimination:bool "
        "custrecord_tl_code custrecord_tl_approved:bool custrecord_tl_tax_rate:num "
        "custrecord_firm_state custrecord_firm_code",
        required="name country currency",
    ),
    _record(
        "currency", "name symbol currencyPrecision:num exchangeRate:num isBaseCurrency:bool", required="name symbol"
    ),
    _record("account", "acctNumber acctName acctType:enum", required="acctNumber acctName acctType", title="acctName"),
    _record("term", "name daysUntilNetDue:num discountPercent:num", required="name"),
    _record(
        "accountingPeriod",
        "periodName startDate:date endDate:date closed:bool arLocked:bool",
        required="periodName startDate endDate",
        title="periodName",
    ),
    _record(
        "employee",
        "entityId firstName lastName email subsidiary:ref(subsidiary) laborCost:num",
        family="entity",
        required="lastName subsidiary",
        title="entityId",
    ),
    _record("billingRateCard", "name", required="name"),
    _record(
        "customrecord_tl_rate",
        "name custrecord_tl_rate_card:ref(billingRateCard) custrecord_tl_role custrecord_tl_currency:ref(currency) "
        "custrecord_tl_rate:num custrecord_tl_from:date custrecord_tl_until:date",
        required="custrecord_tl_rate_card custrecord_tl_role custrecord_tl_rate custrecord_tl_from",
    ),
)

RECORD_TYPES: Mapping[str, RecordType] = {record.name: record for record in _ALL}
BY_LOWER_NAME: Mapping[str, RecordType] = {record.name.lower(): record for record in _ALL}
FAMILIES: Mapping[str, tuple[RecordType, ...]] = {
    family: tuple(record for record in _ALL if record.family == family) for family in {r.family for r in _ALL}
}


CUSTOM: Mapping[str, frozenset[str]] = {
    name: frozenset(field for field in fields if field.startswith("cust"))
    for record in _ALL
    for name, fields in (
        (record.name, record.fields),
        *((f"{record.name}.{sublist}", lines) for sublist, lines in record.sublists.items()),
    )
}
"""The custom fields, by record type and by sublist (`invoice.item`)."""


def pointed_at(target: str) -> tuple[RecordType, ...]:
    """The types a reference may point at: one type, or every type of a family."""
    return (RECORD_TYPES[target],) if target in RECORD_TYPES else FAMILIES[target]
