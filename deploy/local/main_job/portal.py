"""The customer's person of the demonstration sees a customer of the firm that was loaded, whatever its CRM calls it."""

from __future__ import annotations

from collections import Counter

from deploy.local.firm import Firm
from deploy.local.installation import Installation
from deploy.local.main_job.desk import Desk
from deploy.local.people import users_document
from deploy.local.places import write_private
from deploy.local.users_command import enrol


async def open_portal(firm: Firm, installation: Installation, desk: Desk) -> str | None:
    """Bind the person to the customer with most won deals; its name, or None where the CRM shows none of that name."""
    won = Counter(row["account_id"] for row in firm.won())
    names = {row["account_id"]: row["name"] for row in firm["crm/accounts.csv"]}
    known = {str(item["name"]): str(item["id"]) for item in await desk.customers()}
    name = next((names[account] for account, _ in won.most_common() if names[account] in known), None)
    if name is not None:
        document = users_document(installation.secrets.people, customers=(known[name],))
        write_private(installation.places.users_file, document)
        await enrol(installation.places)
    return name
