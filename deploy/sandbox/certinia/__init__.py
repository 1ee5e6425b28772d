"""Simulator of Certinia PSA: an org of the Salesforce platform with the package's objects, rules and automation."""

from deploy.sandbox.certinia.simulator import simulator

__all__ = ["simulator"]
