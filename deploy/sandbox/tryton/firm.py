"""The firm's people at Tryton, one class per role: sales, consultants, finance."""

from __future__ import annotations

from deploy.sandbox.tryton.consultants import TrytonConsultants
from deploy.sandbox.tryton.finance import TrytonFinance
from deploy.sandbox.tryton.sales import TrytonSales

__all__ = ["TrytonConsultants", "TrytonFinance", "TrytonSales"]
