"""Fields that many models share: meaning, bounds and a value of the sample firm, said once; no model enters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from shared.canonical.money import Amount, Money
from shared.canonical.references import Day, Identifier, Name, Ref, Text

PERIOD = r"^\d{4}-(0[1-9]|1[0-2])$"

Tenant = Annotated[Identifier, Field(description="The firm whose record it is.", examples=["harbour"])]
CustomerId = Annotated[
    Identifier,
    Field(description="Our id of the customer; the same in every system.", examples=["cus_xmiet452yykyqwr5k7jc"]),
]
OpportunityId = Annotated[
    Identifier, Field(description="Our id of the won opportunity.", examples=["opp_uowvshkezju2kbbqurcu"])
]
ContractId = Annotated[
    Identifier,
    Field(description="Our id of the contract; the same in every system.", examples=["con_lbrnl2pkbpchp6ss2ffg"]),
]
ProjectId = Annotated[
    Identifier,
    Field(description="Our id of the project; the same in every system.", examples=["prj_h4yvivbriyviclnaeuyy"]),
]
WorkstreamId = Annotated[
    Identifier,
    Field(description="Our id of the workstream, the child of a project.", examples=["wks_aiui2cvkyrsia6vywzfp"]),
]
MilestoneId = Annotated[
    Identifier, Field(description="Our id of the billing milestone.", examples=["mil_4juxowlbuq4akvafu3ss"])
]
ResourceId = Annotated[
    Identifier, Field(description="Our id of the person who worked.", examples=["res_r3ln2zg74bngiswp7qr5"])
]
InvoiceId = Annotated[
    Identifier,
    Field(
        description="Our id of the invoice; the ERP keeps it as external reference.",
        examples=["inv_fzlqoebb7e3kgqd7oyvq"],
    ),
]
EntryId = Annotated[
    Identifier, Field(description="Our id of the recorded work.", examples=["tim_k3xopf37jg6rtl6cnp3p"])
]
OpportunityReference = Annotated[
    Ref,
    Field(description="Reference people know the deal by; the CRM id where it has none.", examples=["006BE80E02EF8F1"]),
]
ContractReference = Annotated[Ref, Field(description="Number of the statement of work.", examples=["SOW-E02EF8F1"])]
MilestoneReference = Annotated[
    Ref, Field(description="The milestone's own reference as people know it.", examples=["006BE80E02EF8F1-1-M1"])
]
InvoiceRef = Annotated[Ref, Field(description="The invoice's id in the ERP.", examples=["48213"])]
CustomerName = Annotated[Name, Field(description="The customer as the CRM calls it.", examples=["Rangreen"])]
ProjectName = Annotated[
    Name, Field(description="What the project is called.", examples=["Rangreen - Discovery workshop Mar 2017"])
]
WorkstreamName = Annotated[
    Name, Field(description="Short name of the workstream, as on the sold line.", examples=["WS1"])
]
MilestoneName = Annotated[Name, Field(description="What is reached with it.", examples=["Acceptance"])]
LegalEntityCode = Annotated[
    Name, Field(description="Company of the firm that signs and invoices, by its ERP code.", examples=["HC-DE"])
]
ItemCode = Annotated[Name, Field(description="Service item of the ERP that is invoiced.", examples=["SVC-DISC"])]
ProductCode = Annotated[Name, Field(description="Product code as sold in the CRM.", examples=["GTX Basic"])]
RateCardCode = Annotated[
    Text, Field(description="Rate card that prices the hours, by its ERP code.", examples=["RC-HC-DE"])
]
PurchaseOrder = Annotated[
    Text, Field(description="The customer's purchase order, printed on the invoice.", examples=["PO-647255"])
]
Region = Annotated[Text, Field(description="Sales region of the deal.", examples=["Central"])]
Role = Annotated[Name, Field(description="Role worked in, as the rate card names it.", examples=["Business Analyst"])]
Person = Annotated[Name, Field(description="Subject of the person or client, as in the token.", examples=["fiona"])]
PaymentTermsDays = Annotated[
    int, Field(ge=0, le=365, description="Days from the invoice's day until it is due.", examples=[45])
]
Period = Annotated[
    str,
    StringConstraints(pattern=PERIOD),
    Field(description="Calendar month that is billed, as YYYY-MM.", examples=["2017-04"]),
]
Revision = Annotated[
    int,
    Field(ge=1, le=1_000_000, description="Counts the record's versions up from 1 with each change.", examples=[1]),
]
Count = Annotated[int, Field(ge=0, le=1_000_000_000, examples=[3])]
InvoiceOn = Annotated[Day, Field(description="Day printed on the invoice.", examples=["2017-04-30"])]
DueOn = Annotated[Day, Field(description="Last day of payment, or of reaching it.", examples=["2017-04-24"])]
StartOn = Annotated[Day, Field(description="First day of work.", examples=["2017-03-30"])]
ChangedAt = Annotated[datetime, Field(description="When it last changed (UTC).", examples=["2017-03-16T09:12:30Z"])]
IsApproved = Annotated[
    bool,
    Field(strict=True, description="Whether the firm has approved it; only approved work is billed.", examples=[True]),
]
IsBillable = Annotated[bool, Field(strict=True, description="Whether the customer is to pay for it.", examples=[True])]
IsBilled = Annotated[bool, Field(strict=True, description="Whether the PSA shows it on an invoice.", examples=[False])]
Net = Annotated[
    Money,
    Field(description="Sum of the lines before tax.", examples=[{"amount": "503.10", "currency": "EUR"}]),
]
Tax = Annotated[
    Money,
    Field(description="Tax on the net, rounded once.", examples=[{"amount": "95.59", "currency": "EUR"}]),
]
Gross = Annotated[
    Money,
    Field(description="Net plus tax: what the customer owes.", examples=[{"amount": "598.69", "currency": "EUR"}]),
]
Paid = Annotated[
    Money,
    Field(description="What of the gross has been paid so far.", examples=[{"amount": "598.69", "currency": "EUR"}]),
]
DealAmount = Annotated[
    Money,
    Field(description="What the deal was sold for, all lines.", examples=[{"amount": "5757.30", "currency": "EUR"}]),
]
MilestoneAmount = Annotated[
    Money,
    Field(
        description="What falls due, before tax, when the milestone is reached and approved.",
        examples=[{"amount": "503.10", "currency": "EUR"}],
    ),
]
HourlyRate = Annotated[
    Amount, Field(description="Price of one hour before tax, in the card's currency.", examples=["60.94"])
]
