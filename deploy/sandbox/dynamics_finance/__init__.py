"""A simulator of Microsoft Dynamics 365 Finance: OData data entities, metadata, posting service, data packages."""
