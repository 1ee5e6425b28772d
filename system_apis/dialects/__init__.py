"""Wires that several vendors speak alike: a platform or a protocol, known once; no vendor's business is in here."""
