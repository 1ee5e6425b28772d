"""What the small firm keeps in Tryton besides its books: users, deals and what is told to the PSA."""

from __future__ import annotations

from datetime import date

from shared.canonical.billing import BillingMark
from tests.conformance import erp_firm
from tests.conformance.erp_firm import table

LEGAL_ENTITIES = [erp_firm.LEGAL_ENTITIES[0], {**erp_firm.LEGAL_ENTITIES[1], "approved": "false"}]
USERS = table("user_id,name,role", "1,Ada,Engineer", "2,Ben,")
DEALS = {
    "accounts": table(
        "account_id,name,parent_account_id,sector,billing_country,billing_city,billing_street,billing_postal_code,tax_id,po_required",
        "ACC-1,Acme Group,,shipping,DE,Hamburg,Quay 1,20457,DE123456789,true",
        "ACC-2,Acme Nord,ACC-1,,DE,Kiel,,24103,,false",
    ),
    "products": table("product_code,name", "GTX Pro,Implementation"),
    "opportunities": table(
        "opportunity_id,account_id,name,stage,amount,currency,close_date,owner,region,legal_entity,revision",
        "OPP-1,ACC-1,Acme rollout,Closed Won,1500.50,EUR,2026-03-01,Kary,West,HC-DE,3",
        "OPP-2,ACC-2,Acme Nord training,Closed Lost,300.00,EUR,2026-03-02,Kary,,HC-DE,1",
    ),
    "opportunity_lines": table(
        "line_id,opportunity_id,product_code,workstream,quantity,unit_price,amount,billing_model,start_date",
        "OPP-1-1,OPP-1,GTX Pro,WS1,1,1000.50,1000.50,time_and_materials,2026-03-15",
        "OPP-1-2,OPP-1,GTXPro,WS2,2,250.00,500.00,fixed_fee,2026-03-15",
        "OPP-2-1,OPP-2,GTX Pro,WS1,1,300.00,300.00,time_and_materials,2026-03-15",
    ),
    "contracts": table(
        "contract_id,opportunity_id,status,signed_on,payment_terms_days,cap_amount,po_number,rate_card,revision",
        "SOW-1,OPP-1,in_review,2026-03-01,45,900.00,,RC-DE,2",
        "SOW-2,OPP-2,approved,2026-03-01,30,,PO-2,RC-DE,1",
    ),
    "milestones": table(
        "milestone_id,opportunity_id,line_id,workstream,name,amount,due_date",
        "OPP-1-2-M1,OPP-1,OPP-1-2,WS2,Acceptance,300.00,2026-05-01",
        "OPP-1-2-M0,OPP-1,OPP-1-2,WS2,Kick-off,200.00,2026-04-01",
    ),
}


def mark(invoice: str = "inv_acme", time: tuple[str, ...] = (), milestones: tuple[str, ...] = ()) -> BillingMark:
    return BillingMark(
        invoice_id=invoice,
        invoice_ref="42",
        project_id="prj_acme",
        invoice_on=date(2026, 10, 28),
        purchase_order="PO-7",
        time_entry_refs=time,
        milestone_refs=milestones,
    )
