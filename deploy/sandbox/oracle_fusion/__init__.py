"""A simulator of an Oracle Fusion Cloud pod: receivables, projects, contracts, billing events, customers' accounts."""
