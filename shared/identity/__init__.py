"""Who is asking: principal, tenant, scopes; no machinery."""
