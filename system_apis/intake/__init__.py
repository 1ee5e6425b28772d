"""From hint to fact: keeps hints of change, re-reads the records, and states the canonical events."""

from system_apis.intake.desk import Intake, PollReport
from system_apis.intake.facts import references_of_opportunity

__all__ = ["Intake", "PollReport", "references_of_opportunity"]
