"""Query parameters nobody declared are refused: a misspelt filter must not return everything."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi.dependencies.models import Dependant

from shared.errors.taxonomy import FieldFinding, InvalidRequest

_NAMED_AT_MOST = 20


def declared_names(dependant: Dependant) -> frozenset[str]:
    """The query parameters a route and what it depends on take, by the names callers use."""
    own = {one.alias for one in dependant.query_params}
    return frozenset(own.union(*(declared_names(inner) for inner in dependant.dependencies)))


def refuse_unknown(query: bytes, declared: frozenset[str]) -> None:
    """Raise InvalidRequest naming every parameter that the operation does not declare."""
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    unknown = list(dict.fromkeys(name for name, _ in given if name not in declared))
    if unknown:
        raise _refusal(unknown, declared)


def _refusal(unknown: list[str], declared: frozenset[str]) -> InvalidRequest:
    known = ", ".join(sorted(declared)) or "none"
    findings = [
        FieldFinding(f"query.{name[:80]}", f"is no parameter of this operation; it takes {known}")
        for name in unknown[:_NAMED_AT_MOST]
    ]
    return InvalidRequest(findings=findings)
