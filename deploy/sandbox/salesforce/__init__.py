"""Simulator of Salesforce Sales Cloud's REST wire; only what the vendor shows its clients may stand here."""

from deploy.sandbox.salesforce.simulator import simulator

__all__ = ["simulator"]
