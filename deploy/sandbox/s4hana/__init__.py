"""A pretend SAP S/4HANA Cloud tenant: the OData services a communication arrangement opens, and what stands behind."""
