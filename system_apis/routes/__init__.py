"""HTTP of the system tier: reads the request, asks a port, records cross-references; no vendor's name."""
