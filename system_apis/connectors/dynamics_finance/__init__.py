"""Connector to Microsoft Dynamics 365 Finance (OData data entities, data packages, a posting service)."""
