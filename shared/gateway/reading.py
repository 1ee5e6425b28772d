"""Reads one declared file into its schema; files and facts enter, refusals with file and place leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from shared.documents import read_yaml
from shared.gateway.facts import Facts

_F = TypeVar("_F", bound=Facts)


class DocumentRefused(Exception):
    """A policy document cannot be used; every line names file, place and reason."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_document(path: Path) -> Any:
    """What stands in a file.

    Raises: DocumentRefused naming file and reason.
    """
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentRefused([f"{path}: {error.strerror or 'cannot be read'}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DocumentRefused([f"{path}: {error}"]) from error


def read_facts(path: Path, schema: type[_F]) -> _F:
    """One document, checked.

    Raises: DocumentRefused naming file, place and reason.
    """
    content = read_document(path)
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise DocumentRefused(
            [
                f"{path}: {'.'.join(str(part) for part in one['loc']) or 'document'}: {one['msg']}"
                for one in error.errors()
            ]
        ) from error
