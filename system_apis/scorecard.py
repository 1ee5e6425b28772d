"""The score of a connector, `conformance.yaml`: each rule done or exempt with its reason."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.documents import read_yaml
from shared.errors.taxonomy import FieldFinding, Misconfigured


class Score(BaseModel):
    """Where one rule stands: exactly one of the three. `drafted` is not done."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["drafted", "simulated"] | None = None
    verified: date | None = Field(default=None, description="Seen working against the real vendor on that day.")
    exempt: str | None = Field(default=None, min_length=10, description="Why the rule does not apply.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"state": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one(self) -> Score:
        if sum(value is not None for value in (self.state, self.verified, self.exempt)) != 1:
            raise ValueError("a rule is either drafted, simulated, verified (date) or exempt (reason)")
        return self

    @property
    def is_settled(self) -> bool:
        """Done or exempt."""
        return self.state != "drafted"


class Scorecard(BaseModel):
    """`rules` maps every rule of the suite to its score."""

    model_config = ConfigDict(extra="forbid")

    connector: str
    rules: dict[str, Score]

    @property
    def done(self) -> int:
        """Rules shown on the simulator or on a real account."""
        return sum(1 for score in self.rules.values() if score.state == "simulated" or score.verified)

    @property
    def verified(self) -> int:
        """Rules shown on a real account."""
        return sum(1 for score in self.rules.values() if score.verified)

    @property
    def exempt(self) -> dict[str, str]:
        """Rules that do not apply, with the reason."""
        return {name: score.exempt for name, score in self.rules.items() if score.exempt}


def load_scorecard(folder: Path) -> Scorecard:
    """The score file of a connector folder. Raises Misconfigured naming file, field and reason."""
    called = f"conformance.yaml of connector {folder.name}"
    try:
        document: Any = read_yaml((folder / "conformance.yaml").read_text(encoding="utf-8"))
        card = Scorecard.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"{called} cannot be read: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])) or "file", e["msg"]) for e in error.errors()]
        listed = "; ".join(f"{f.field}: {f.reason}" for f in findings)
        raise Misconfigured(f"{called}: {listed}", findings=findings) from None
    if card.connector != folder.name:
        raise Misconfigured(f"{called}: connector: must equal the folder's name")
    return card
