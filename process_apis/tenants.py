"""What a firm decides for itself: approval thresholds, tax countries, templates, deadlines; data, checked when read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.canonical.money import Currency
from shared.canonical.opportunities import BillingModel
from shared.canonical.references import CountryCode, Identifier, Name
from shared.documents import read_yaml
from shared.errors.taxonomy import Misconfigured

_LONGEST_NAME = 255


class RuleModel(BaseModel):
    """Root of rule data: immutable, and strangers among the keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ApprovalRules(RuleModel):
    """When finance is asked besides delivery, and how long an approval may stay open."""

    finance_from: Decimal = Field(ge=0, description="In the firm's own currency; a deal of this amount needs finance.")
    factors: dict[Currency, Decimal] = Field(min_length=1, description="What one unit of the own currency is worth.")
    expires_after_days: int = Field(default=30, ge=1, le=365)


class TemplateRule(RuleModel):
    """The first rule whose billing models cover all of a deal's chooses its project template."""

    billing_models: frozenset[BillingModel] = Field(min_length=1)
    template: Name


class Deadlines(RuleModel):
    """Hours until something is overdue."""

    exception_hours: int = Field(default=48, ge=1, le=8760)
    activation_hours: int = Field(default=72, ge=1, le=8760)


class TenantRules(RuleModel):
    """The rules of one firm."""

    tenant: Identifier
    approvals: ApprovalRules
    tax_id_countries: frozenset[CountryCode] = Field(
        description="Countries whose customers need a tax id of their own."
    )
    templates: tuple[TemplateRule, ...] = ()
    deadlines: Deadlines = Deadlines()
    people: dict[Name, Name] = Field(
        default_factory=dict[str, str],
        description="Owner of an opportunity as the CRM names them → subject of the tokens they sign in with.",
    )

    def subject_of(self, owner: str | None) -> str:
        """Who an opportunity's owner is in tokens; `crm:<name>` (no subject) for an owner not among `people`.

        A person who asked for a deal may not approve it: this is kept for owners among `people` only, because the name
        that the CRM shows says nothing about the subject a person decides under.
        """
        if not owner:
            return "crm"
        return self.people.get(owner) or f"crm:{owner}"[:_LONGEST_NAME]


class Tenants:
    """The rules of all firms of this installation."""

    def __init__(self, rules: dict[str, TenantRules]) -> None:
        self._rules = dict(rules)

    @classmethod
    def read(cls, folder: Path) -> Tenants:
        """All `*.yaml` of the folder. Raises Misconfigured naming file and key."""
        files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
        if not files:
            raise Misconfigured(f"tenants_dir: there are no tenant files (*.yaml) in {folder.name}")
        read = [_rules(file) for file in files]
        return cls({rules.tenant: rules for rules in read})

    def of(self, tenant: str) -> TenantRules:
        """The rules of a firm. Raises Misconfigured for a tenant without any."""
        if tenant not in self._rules:
            raise Misconfigured(f"there are no rules for tenant {tenant}")
        return self._rules[tenant]

    @property
    def names(self) -> tuple[str, ...]:
        """All tenants with rules."""
        return tuple(self._rules)


def _rules(file: Path) -> TenantRules:
    try:
        content: Any = read_yaml(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as broken:
        raise Misconfigured(f"{file.name} is not YAML: {str(broken).splitlines()[0]}") from broken
    try:
        return TenantRules.model_validate(content)
    except ValidationError as wrong:
        found = wrong.errors(include_url=False, include_input=False)
        told = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in found)
        raise Misconfigured(f"{file.name}: {told}") from wrong
