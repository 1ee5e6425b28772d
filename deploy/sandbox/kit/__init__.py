"""What all simulators share: faults on the wire, call counts, event deliveries; no vendor's name may stand here."""
