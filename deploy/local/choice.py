"""Which vendor plays which role in an installation: one CRM, one PSA, one ERP or one per legal entity."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from deploy.sandbox.catalog import VendorBroken, vendor, vendors
from deploy.sandbox.kit.vendor import Role

DEFAULTS: Final[Mapping[Role, str]] = {"crm": "salesforce", "psa": "kantata", "erp": "netsuite"}
_ENTITY: Final = re.compile(r"^[A-Z0-9][A-Z0-9._-]{0,39}$")


class ChoiceRefused(Exception):
    """A vendor that is not there, or cannot play the role; the message names both."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Vendors by role; `of_entity` names the ERP of single legal entities, the others use `erp`."""

    crm: str = DEFAULTS["crm"]
    psa: str = DEFAULTS["psa"]
    erp: str = DEFAULTS["erp"]
    of_entity: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, crm: str | None = None, psa: str | None = None, erp: str | None = None) -> Self:
        """From what people write: `ERP` is a vendor, or `netsuite,HC-DE=s4hana`. Raises ChoiceRefused."""
        general, of_entity = _erps(erp or DEFAULTS["erp"])
        made = cls(crm or DEFAULTS["crm"], psa or DEFAULTS["psa"], general, of_entity)
        _refuse_unfit("crm", made.crm)
        _refuse_unfit("psa", made.psa)
        _refuse_unfit("erp", made.erp)
        for entity, name in of_entity.items():
            _refuse_unfit("erp", name, f"ERP of {entity}")
        return made

    def refuse_strangers(self, legal_entities: Collection[str]) -> None:
        """Raises ChoiceRefused for an ERP of a legal entity that the firm does not have."""
        if strange := sorted(self.of_entity.keys() - set(legal_entities)):
            known = ", ".join(sorted(legal_entities))
            raise ChoiceRefused(f"ERP of {strange[0]}: the firm has no such legal entity; it has {known}")

    def vendors(self) -> tuple[str, ...]:
        """Every vendor that plays a role, once."""
        return tuple(dict.fromkeys((self.crm, self.psa, self.erp, *self.of_entity.values())))

    def erps(self) -> tuple[str, ...]:
        """Every ERP, once."""
        return tuple(dict.fromkeys((self.erp, *self.of_entity.values())))

    def erp_of(self, legal_entity: str) -> str:
        """The ERP of a legal entity."""
        return self.of_entity.get(legal_entity, self.erp)

    def document(self) -> dict[str, str]:
        """As people write it."""
        erp = ",".join([self.erp, *(f"{entity}={name}" for entity, name in self.of_entity.items())])
        return {"crm": self.crm, "psa": self.psa, "erp": erp}


def _erps(text: str) -> tuple[str, dict[str, str]]:
    general, of_entity = "", dict[str, str]()
    for part in filter(None, (part.strip() for part in text.split(","))):
        entity, is_single, name = part.rpartition("=")
        if not is_single:
            if general:
                raise ChoiceRefused(f"ERP={text}: {general} and {name}: only one may stand without a legal entity")
            general = name
        elif not _ENTITY.match(entity):
            raise ChoiceRefused(f"ERP={text}: {entity!r} is not the code of a legal entity")
        else:
            of_entity[entity] = name
    return general or DEFAULTS["erp"], of_entity


def _refuse_unfit(role: Role, name: str, called: str = "") -> None:
    called = called or role.upper()
    try:
        plays = vendor(name).plays
    except VendorBroken as error:
        raise ChoiceRefused(f"{called}={name}: {error}") from error
    except LookupError:
        fit = ", ".join(known for known, one in vendors().items() if role in one.plays)
        raise ChoiceRefused(f"{called}={name}: there is no such vendor; for this role there are {fit}") from None
    if role not in plays:
        raise ChoiceRefused(f"{called}={name}: {name} plays {', '.join(plays)}, not {role}")
