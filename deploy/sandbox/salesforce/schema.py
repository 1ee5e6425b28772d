"""An org's objects and fields, read from files such as `objects.yaml`; facts only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from shared.documents import read_yaml

_NOTATION = re.compile(r"^(?P<kind>\w+)(\((?P<argument>.*?)\))?(?P<flags>( [\w]+(=[^ ]+)?)*)$")
NUMBERS = frozenset({"int", "double", "currency", "percent"})
TEXTS = frozenset({"string", "textarea", "picklist", "email", "phone", "url", "autonumber"})
_LENGTHS = {"email": 80, "phone": 40, "url": 255, "picklist": 255, "autonumber": 30}


@dataclass(frozen=True, slots=True)
class Field:
    """One field as describe tells it."""

    name: str
    kind: str
    length: int = 0
    scale: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    external: bool = False
    unique: bool = False
    cased: bool = False
    restricted: bool = False
    is_name: bool = False
    default: str | None = None
    values: tuple[str, ...] = ()
    target: str | None = None
    parent: str | None = None
    children: str | None = None
    pattern: str = ""
    formula: str = ""  # name of the function that computes it; it has no value of its own

    @property
    def is_custom(self) -> bool:
        """Whether an administrator added it."""
        return self.name.endswith("__c")


@dataclass(frozen=True, slots=True)
class SObject:
    """One object: its fields, and how queries travel to parents and children."""

    name: str
    prefix: str
    is_setup: bool
    fields: dict[str, Field]
    parents: dict[str, Field] = field(default_factory=dict[str, Field])
    children: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    by_lower: dict[str, str] = field(default_factory=dict[str, str])
    deleted: set[str] = field(default_factory=set[str])  # custom fields that can be undeleted with what they held

    @property
    def is_custom(self) -> bool:
        """Whether an administrator added it."""
        return self.name.endswith("__c")

    @property
    def shown(self) -> list[Field]:
        """The fields that are there for who asks."""
        return [one for name, one in self.fields.items() if name not in self.deleted]

    def find(self, name: str) -> Field | None:
        """The field of that name, whatever its case."""
        found = self.fields.get(name) or self.fields.get(self.by_lower.get(name.lower(), ""))
        return None if found is None or found.name in self.deleted else found

    def parent(self, relation: str) -> Field | None:
        """The lookup that leads to that parent, whatever the case of its name."""
        found = self.parents.get(relation.lower())
        return None if found is None or found.name in self.deleted else found


def _relation(name: str) -> str | None:
    """An administrator's lookup is travelled by the name of its field."""
    return f"{name.removesuffix('__c')}__r" if name.endswith("__c") else None


def _field(name: str, notation: str) -> Field:
    match = _NOTATION.match(notation)
    if match is None:
        raise ValueError(f"objects.yaml: {name}: {notation}")
    kind, argument = match["kind"], match["argument"] or ""
    flags = match["flags"].split()
    options: dict[str, str] = {}
    for flag in flags:
        key, _, value = flag.partition("=")
        options[key] = value
    made = Field(
        name=name,
        kind=kind,
        required="required" in options,
        createable=not options.keys() & {"readonly", "formula"},
        updateable=not options.keys() & {"readonly", "createonly", "formula"},
        external="external" in options,
        unique="unique" in options,
        cased="cased" in options or kind == "reference",
        restricted="restricted" in options,
        is_name="name" in options,
        default=options.get("default"),
        parent=options.get("as") or (_relation(name) if kind == "reference" else None),
        children=options.get("children"),
        length=_LENGTHS.get(kind, 0),
        formula=options.get("formula", ""),
    )
    if kind in {"string", "textarea"}:
        return replace(made, length=int(argument))
    if kind in {"double", "currency"}:
        return replace(made, scale=int(argument))
    if kind == "picklist":
        return replace(made, values=tuple(argument.split("|")) if argument else ())
    if kind == "reference":
        return replace(made, target=argument, length=18)
    return replace(made, pattern=argument)


_CURRENCY = Field("CurrencyIsoCode", "picklist", length=3, default="USD")


def _system_fields(*, is_setup: bool) -> list[Field]:
    names = ["CreatedDate:datetime", "CreatedById:reference", "LastModifiedDate:datetime", "LastModifiedById:reference"]
    system = [Field("Id", "id", length=18, cased=True, createable=False, updateable=False)]
    if not is_setup:
        system.append(Field("IsDeleted", "boolean", createable=False, updateable=False))
    for name, _, kind in (entry.partition(":") for entry in [*names, "SystemModstamp:datetime"]):
        target, parent = ("User", name.removesuffix("Id")) if kind == "reference" else (None, None)
        system.append(
            Field(name, kind, createable=False, updateable=False, target=target, parent=parent, cased=bool(target))
        )
    return system


class Schema(dict[str, SObject]):
    """All objects of an org by name."""

    def find(self, name: str) -> SObject | None:
        """The object of that name, whatever its case."""
        return self.get(name) or next((o for key, o in self.items() if key.lower() == name.lower()), None)

    def of_one_org(self) -> Schema:
        """The same objects, none of their fields deleted, for an administrator of one org to change."""
        return Schema({name: replace(sobject, deleted=set()) for name, sobject in self.items()})

    def custom(self) -> dict[str, set[str]]:
        """What an administrator added, by object."""
        return {name: {one.name for one in sobject.fields.values() if one.is_custom} for name, sobject in self.items()}

    def delete_fields(self, deleted: Mapping[str, Iterable[str]]) -> None:
        """These custom fields, by object, are deleted and all others there."""
        for name, sobject in self.items():
            sobject.deleted.clear()
            sobject.deleted.update(deleted.get(name, ()))


def read_schema(*files: Path) -> Schema:
    """The objects of all files; a later file may add fields to an object of an earlier one."""
    merged: dict[str, dict[str, Any]] = {}
    for file in files:
        document: dict[str, dict[str, Any]] = read_yaml(file.read_text("utf-8"))
        for name, facts in document.items():
            held = merged.setdefault(name, {"fields": {}})
            merged[name] = {**held, **facts, "fields": {**held["fields"], **facts["fields"]}}
    objects = Schema()
    for name, facts in merged.items():
        is_setup = bool(facts.get("setup"))
        listed = [*_system_fields(is_setup=is_setup), *([_CURRENCY] if facts.get("currency") else [])]
        listed += [_field(field_name, notation) for field_name, notation in facts["fields"].items()]
        fields = {f.name: f for f in listed}
        objects[name] = SObject(
            name,
            facts["prefix"],
            is_setup,
            fields,
            parents={f.parent.lower(): f for f in listed if f.parent},
            by_lower={f.lower(): f for f in fields},
        )
    for child in objects.values():
        for reference in child.fields.values():
            if reference.children and reference.target:
                objects[reference.target].children[reference.children.lower()] = (child.name, reference.name)
    return objects


OBJECTS = Path(__file__).with_name("objects.yaml")


@cache
def org_schema() -> Schema:
    """The objects of Sales Cloud as this firm has set it up."""
    return read_schema(OBJECTS)
