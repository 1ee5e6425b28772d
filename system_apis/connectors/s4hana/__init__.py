"""Connector to SAP S/4HANA Cloud, public edition (OData V2 and V4 of its communication arrangements)."""
