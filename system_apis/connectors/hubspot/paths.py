"""Paths of both families, the classic one and the dated one; which release is a setting, never a literal."""

from __future__ import annotations

import re

from shared.errors.taxonomy import Misconfigured
from shared.outbound import route
from system_apis.ports.binding import Binding

_RELEASE = re.compile(r"^\d{4}-\d{2}$")


class Paths:
    """Paths for a tenant's `api_version`."""

    def __init__(self, binding: Binding, documented: str) -> None:
        version = binding.settings.get("api_version") or documented
        if version != "v3" and not _RELEASE.match(version):
            raise Misconfigured(
                f"connector {binding.system}: setting api_version is neither v3 nor a dated release: {version}"
            )
        self._version = version
        self._is_dated = version != "v3"

    @property
    def token(self) -> str:
        """The token endpoint, parameters in the body."""
        return f"/oauth/{self._version}/token"

    @property
    def schemas(self) -> str:
        """Custom objects."""
        return f"/crm-object-schemas/{self._version}/schemas"

    def objects(self, kind: str, *rest: str) -> str:
        """Records of an object."""
        return self._crm("objects", kind, *rest)

    def properties(self, kind: str) -> str:
        """Properties of an object."""
        return self._crm("properties", kind)

    def pipelines(self, kind: str) -> str:
        """Pipelines of an object."""
        return self._crm("pipelines", kind)

    def owners(self) -> str:
        """Owners."""
        return self._crm("owners")

    def links(self, source: str, target: str, *rest: str) -> str:
        """Associations between two objects."""
        return self._crm("associations", source, target, *rest, classic="v4")

    def link(self, source: str, ref: str, target: str, other: str) -> str:
        """The unlabelled association of two records."""
        return self._crm("objects", source, ref, "associations", "default", target, other, classic="v4")

    def _crm(self, room: str, *rest: str, classic: str = "v3") -> str:
        head = f"/crm/{room}/{self._version}" if self._is_dated else f"/crm/{classic}/{room}"
        return head + "".join(route("/{part}", part=part) for part in rest)
