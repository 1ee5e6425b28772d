"""Simulator of HubSpot's CRM wire; only what the vendor shows its clients may stand here."""

from deploy.sandbox.hubspot.simulator import simulator

__all__ = ["simulator"]
