"""What each scope lets its holder do, for documents, registration and approval; nothing else enters."""

from __future__ import annotations

from typing import Final

SCOPES: Final = {
    "accounts.read": "Read how deals, projects and billing of one's accounts are going.",
    "amounts.read": "See amounts of money where they are masked otherwise.",
    "approvals.decide.delivery": "Approve or refuse deals for delivery.",
    "approvals.decide.finance": "Approve or refuse deals for finance.",
    "approvals.decide.invoice": "Approve or refuse invoices before they are posted.",
    "approvals.read": "Read what waits for a decision, and the decisions.",
    "billing.read": "Read billing runs, work in progress, invoices and what is owed.",
    "billing.run": "Start billing runs and the collecting of payments.",
    "clients.approve": "Approve or reject clients that others registered, with plan and scopes.",
    "clients.read": "Read registered clients.",
    "clients.write": "Register clients, rotate their secrets and end them.",
    "connectors.read": "Read which systems are connected, what they can do and how they feel.",
    "crm.read": "Read opportunities, customers and contracts in the CRM.",
    "crm.write": "Write projects, invoices and payments back to the CRM.",
    "customer.read": "Read the projects and invoices of the customers that the token names.",
    "deals.read": "Read deals, their projects and how far they are.",
    "deals.write": "Restart and amend deals that stand still.",
    "erp.read": "Read catalog, projects, invoices and payments in the ERP.",
    "erp.write": "Create customers, projects and invoices in the ERP.",
    "events.read": "Read the event log.",
    "events.replay": "Have events of the log told again.",
    "exceptions.read": "Read what is parked, with every finding and its remedy.",
    "exceptions.write": "Assign and retry what is parked, and supply what is missing.",
    "intake.write": "Ask for polls of the connected systems and retry hints that failed.",
    "kpis.read": "Read key figures.",
    "openid": "Read who the person is that logged in.",
    "partner.read": "Read where projects stand; no amounts, no customers.",
    "psa.read": "Read projects, time, expenses and milestones in the PSA.",
    "psa.write": "Create projects in the PSA and mark what was billed.",
    "revocations.read": "Follow which tokens, clients and sessions were withdrawn.",
    "tokens.introspect": "Ask whether a token counts and what it says.",
    "webhooks.read": "Read one's own webhook endpoints and what became of each message.",
    "webhooks.write": "Add and change one's own webhook endpoints, read and rotate their secrets, send again.",
}


def told(scope: str) -> str:
    """What the scope lets its holder do; one that a firm has added itself is told by its name."""
    what, _, verb = scope.rpartition(".")
    return SCOPES.get(scope) or f"{verb.capitalize()} {what}."
