"""Holds masked fields against what the routes answer, since a mask that fits nothing hides nothing; schemas enter."""

from __future__ import annotations

from typing import Any

from shared.gateway.document import GatewayDocuments
from shared.gateway.policies.masking.schema import unmaskable
from shared.gateway.switchboard import path_shape


def unfit_masks(document: dict[str, Any], documents: GatewayDocuments) -> list[str]:
    """Every masked field that is not in its answer, or may not be missing there; `document` is the tier's OpenAPI.

    Of answers that no model describes nothing is known; they are left to the mask.
    """
    paths: dict[str, dict[str, dict[str, Any]]] = document.get("paths", {})
    described = {
        (method.upper(), path_shape(path)): operation
        for path, item in paths.items()
        for method, operation in item.items()
    }
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    lines: list[str] = []
    for operation in documents.operations():
        masking = operation.policies.masking
        told = described.get((operation.method, path_shape(operation.path)))
        schema = _good(told) if masking is not None and told is not None else {}
        if masking is not None and "$ref" in schema:
            lines += [f"{operation.name}: {line}" for line in unmaskable(masking, schema, schemas)]
    return lines


def _good(operation: dict[str, Any]) -> dict[str, Any]:
    """The schema of the answer when all went well; empty where none is described."""
    answers: dict[str, dict[str, Any]] = operation.get("responses", {})
    good = [answer for status, answer in answers.items() if status.startswith("2")]
    found: dict[str, Any] = good[0].get("content", {}).get("application/json", {}).get("schema", {}) if good else {}
    return found
