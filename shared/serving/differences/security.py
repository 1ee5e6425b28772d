"""Compares who may call: alternatives of credentials and scopes, and the schemes behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.serving.differences.changes import Change, Node, Weight
from shared.serving.differences.reading import listed, node

_Need = dict[str, frozenset[str]]


def compare_security(old: Any, new: Any) -> Iterator[Change]:
    """Whoever could call before still can, or the change breaks them."""
    before, after = _alternatives(old), _alternatives(new)
    for need in before:
        if not any(_suffices(need, other) for other in after):
            told = f"{_told(need)} is no longer enough; needed is {' or '.join(_told(one) for one in after)}."
            yield Change(Weight.BREAKING, "security_tightened", "security", told)
    for need in after:
        if not any(_suffices(need, other) for other in before):
            yield Change(Weight.ADDITIVE, "security_loosened", "security", f"{_told(need)} is now enough.")


def compare_schemes(old: Node, new: Node) -> Iterator[Change]:
    """How credentials are had: schemes, flows, addresses, scopes."""
    for name in sorted(new.keys() - old.keys()):
        told = f"Credentials `{name}` are accepted."
        yield Change(Weight.ADDITIVE, "security_scheme_added", "security", told)
    for name in sorted(old.keys() - new.keys()):
        told = f"Credentials `{name}` are no longer accepted."
        yield Change(Weight.BREAKING, "security_scheme_removed", "security", told)
    for name in sorted(old.keys() & new.keys()):
        before, after = node(old[name]), node(new[name])
        if any(before.get(one) != after.get(one) for one in ("type", "in", "name", "scheme", "openIdConnectUrl")):
            told = f"Credentials `{name}` are of another kind."
            yield Change(Weight.BREAKING, "security_scheme_changed", "security", told)
        if before.get("description") != after.get("description"):
            told = f"Credentials `{name}` are described differently."
            yield Change(Weight.EDITORIAL, "description_changed", "security", told)
        yield from _flows(name, node(before.get("flows")), node(after.get("flows")))


def _flows(name: str, old: Node, new: Node) -> Iterator[Change]:
    for flow in sorted(new.keys() - old.keys()):
        yield Change(Weight.ADDITIVE, "oauth_flow_added", "security", f"`{name}` can be had by {flow}.")
    for flow in sorted(old.keys() - new.keys()):
        told = f"`{name}` can no longer be had by {flow}."
        yield Change(Weight.BREAKING, "oauth_flow_removed", "security", told)
    for flow in sorted(old.keys() & new.keys()):
        before, after = node(old[flow]), node(new[flow])
        for address in ("tokenUrl", "authorizationUrl", "refreshUrl"):
            if before.get(address) != after.get(address):
                told = f"The {address} of `{name}` is `{after.get(address)}` instead of `{before.get(address)}`."
                yield Change(Weight.BREAKING, "oauth_address_changed", "security", told)
        scopes, others = node(before.get("scopes")), node(after.get("scopes"))
        for scope in sorted(others.keys() - scopes.keys()):
            yield Change(Weight.ADDITIVE, "scope_added", "security", f"There is a scope `{scope}`.")
        for scope in sorted(scopes.keys() - others.keys()):
            yield Change(Weight.BREAKING, "scope_removed", "security", f"There is no scope `{scope}` any more.")
        if any(scopes[scope] != others[scope] for scope in scopes.keys() & others.keys()):
            told = f"Scopes of `{name}` are described differently."
            yield Change(Weight.EDITORIAL, "description_changed", "security", told)


def _alternatives(told: Any) -> list[_Need]:
    alternatives = [
        {name: frozenset(str(scope) for scope in listed(scopes)) for name, scopes in node(one).items()}
        for one in listed(told)
    ]
    return alternatives or [{}]


def _suffices(held: _Need, asked: _Need) -> bool:
    return all(name in held and scopes <= held[name] for name, scopes in asked.items())


def _told(need: _Need) -> str:
    if not need:
        return "no credential"
    return " with ".join(f"`{name}`{_scoped(scopes)}" for name, scopes in sorted(need.items()))


def _scoped(scopes: frozenset[str]) -> str:
    return f" ({' + '.join(sorted(scopes))})" if scopes else ""
