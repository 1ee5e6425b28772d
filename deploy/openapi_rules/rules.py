"""The one list of rules; the modules beside it put theirs in."""

from __future__ import annotations

from deploy.openapi_rules.rule import RuleSet

RULES = RuleSet()
