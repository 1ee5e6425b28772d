"""Kantata OX as its clients meet it, and the sample firm booked over that wire; no tier may be imported."""

from deploy.sandbox.kantata.simulator import simulator

__all__ = ["simulator"]
