"""Whose change events are followed, and the record each of them speaks of; facts about objects, no wire."""

from __future__ import annotations

from system_apis.dialects.salesforce.capture import Followed
from system_apis.fields import FieldMap


def followed(fields: FieldMap) -> tuple[Followed, ...]:
    """The five objects that a deal, its customer and its contract consist of, under the tenant's own names."""
    ours = frozenset(place.path for place in fields["delivery_status"].places.values() if place.written)
    return (
        Followed("Opportunity", "opportunity", written=ours),
        Followed("OpportunityLineItem", "opportunity", parent="OpportunityId"),
        Followed("Account", "customer"),
        Followed("Contract", "contract"),
        Followed("Billing_Milestone__c", "contract", parent=fields["contract_milestone"].column("Contract__c")),
    )
