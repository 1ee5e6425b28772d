"""Applies the rules to documents: a folder of files, or one document in hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.openapi_rules import bodies, documents, events, examples, operations, schemas
from deploy.openapi_rules.reading import members
from deploy.openapi_rules.rule import Finding
from deploy.openapi_rules.rules import RULES
from shared.documents import read_yaml

ROOMS = (documents, operations, bodies, schemas, examples, events)
"""The modules that put rules into RULES."""


def findings_of(file: str, content: dict[str, Any]) -> list[Finding]:
    """What the rules find in one document."""
    return RULES.apply(file, content)


def findings_in(folder: Path) -> list[Finding]:
    """What the rules find in every `*.yaml` of a folder that is an OpenAPI or AsyncAPI document."""
    found: list[Finding] = []
    for path in sorted(folder.glob("*.yaml")):
        content: Any = read_yaml(path.read_text(encoding="utf-8"))
        if {"openapi", "asyncapi"} & members(content).keys():
            found += findings_of(path.name, members(content))
    return found
