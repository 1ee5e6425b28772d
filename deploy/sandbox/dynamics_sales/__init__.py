"""Simulator of Dynamics 365 Sales over the Dataverse Web API; only what the vendor shows its clients may stand here."""

from deploy.sandbox.dynamics_sales.simulator import simulator

__all__ = ["simulator"]
