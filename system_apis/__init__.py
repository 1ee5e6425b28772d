"""The system tier: vendors behind canonical contracts."""
