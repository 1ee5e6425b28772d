"""What a vendor says of its own objects: the ground on which a mapping stands or has drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """A field as the vendor's metadata tells it.

    `is_required`: a record cannot be made without it (and the vendor fills in nothing). `values`: those of a closed
    list, () where anything goes. `kind` is the vendor's own word for the type.
    """

    name: str
    kind: str = ""
    label: str = ""
    is_required: bool = False
    is_writable: bool = True
    values: tuple[str, ...] = ()


class SchemaSource(Protocol):
    """Every connector can tell its vendor's metadata of the objects its `fields.yaml` names."""

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Object → its fields; an object the vendor does not know is left out.

        A path of `fields.yaml` names a field by its first part, or by the whole path where the vendor's metadata does.
        Raises VendorTrouble, ScopeMissing.
        """
        ...
