"""Tryton: CRM, PSA and ERP in one suite."""
