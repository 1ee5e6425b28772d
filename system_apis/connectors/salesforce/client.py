"""Salesforce's wire for the CRM: the platform's, under our name, with the tenant's fields."""

from __future__ import annotations

from system_apis.connectors.salesforce.payloads import CLIENT_NAME
from system_apis.dialects.salesforce.login import session_of
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.fields import FieldMap
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding


def open_wire(binding: Binding, manifest: Manifest, fields: FieldMap) -> SalesforceWire:
    """The org of a binding. Raises Misconfigured naming a missing setting or secret."""
    return SalesforceWire(binding, manifest, session_of(binding), client_name=CLIENT_NAME, fields=fields)
