"""The `connectors` part of a tenant's file: which vendor plays which role, with which settings and secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.canonical.fields import LegalEntityCode
from shared.documents import read_yaml
from shared.errors.taxonomy import Misconfigured
from system_apis.manifest import Role

_WHERE_FIELDS_LIE: Final = " (every file here is a tenant's; files that `fields` names lie in a folder below)"
_TENANT: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")


class BoundConnector(BaseModel):
    """A tenant's choice of a vendor; `fields` names the tenant's own file over the vendor's `fields.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: str = Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")
    settings: dict[str, str] = {}
    secrets: dict[str, str] = Field(default={}, repr=False)
    fields: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$")


class BoundRole(BoundConnector):
    """A tenant's choice for one role; single legal entities may have an ERP of their own."""

    legal_entities: dict[LegalEntityCode, BoundConnector] = {}

    @property
    def general(self) -> BoundConnector:
        """The choice for everything that no legal entity has chosen otherwise."""
        return BoundConnector.model_validate(self.model_dump(exclude={"legal_entities"}))


class TenantConnectors(BaseModel):
    """The `connectors` part of a tenant's file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tenant: str | None = None
    connectors: dict[Role, BoundRole] = Field(min_length=1)

    @model_validator(mode="after")
    def _only_erps_differ(self) -> Self:
        for role, chosen in self.connectors.items():
            if chosen.legal_entities and role != "erp":
                message = f"{role}: legal_entities: only the ERP may differ by legal entity"
                raise ValueError(message)
        return self


def read_tenant_file(path: Path) -> TenantConnectors:
    """A tenant's file. Raises Misconfigured naming file, key and reason; secrets are never told."""
    if not _TENANT.match(path.stem):
        raise Misconfigured(f"{path.name}: the file's name is the tenant's; it must match {_TENANT.pattern}")
    document: Any = None
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
        read = TenantConnectors.model_validate(document)
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path.name}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path.name}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or '(document)'}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        )
        hint = "" if isinstance(document, dict) and "connectors" in document else _WHERE_FIELDS_LIE
        raise Misconfigured(f"{path.name}: {listed}{hint}") from None
    if read.tenant not in {None, path.stem}:
        raise Misconfigured(f"{path.name}: tenant: is {read.tenant}, but the file's name says {path.stem}")
    return read
