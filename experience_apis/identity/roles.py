"""Roles and scopes as data: which scopes a role holds, and what an outer scope is worth at an inner tier."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.documents import read_yaml

Scope = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_]+){1,3}$", max_length=80)]


class Role(BaseModel):
    """A kind of caller and what it may do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    scopes: frozenset[Scope]


class RoleBook(BaseModel):
    """All roles, and the loans of scopes between tiers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: dict[str, Role]
    lends: dict[str, dict[Scope, frozenset[Scope]]] = Field(
        description="Per inner audience: outer scope → the scopes it stands for there."
    )

    def scopes_of(self, roles: Iterable[str]) -> frozenset[str]:
        """All scopes of the roles; KeyError names a role that does not exist."""
        return frozenset(scope for role in roles for scope in self.roles[role].scopes)

    def at(self, audience: str, scopes: frozenset[str]) -> frozenset[str]:
        """What a caller's scopes amount to at an inner audience: themselves and what they stand for there."""
        loans = self.lends.get(audience, {})
        return scopes | {lent for scope in scopes for lent in loans.get(scope, ())}

    def known(self) -> frozenset[str]:
        """Every scope there is."""
        return self.scopes_of(self.roles)


@cache
def role_book() -> RoleBook:
    """The role book that ships with the issuer."""
    text = files("experience_apis.identity").joinpath("roles.yaml").read_text("utf-8")
    return RoleBook.model_validate(read_yaml(text))
