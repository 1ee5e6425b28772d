"""Data packages: a zip with manifest, header and one file per entity, as the data management framework reads them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

NAMESPACE: Final = "http://schemas.microsoft.com/dynamics/2015/01/DataManagement"
_MANIFEST: Final = "Manifest.xml"
_HEADER: Final = "PackageHeader.xml"
_TYPE: Final = "Microsoft.Dynamics.AX.Framework.Tools.DataManagement.Serialization.DataManagementPackageManifest"


class BadPackage(Exception):
    """The framework cannot read the package; says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One entity's rows; names of fields in upper case, values as text."""

    entity: str
    rows: Sequence[Mapping[str, str]]


def _file(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([field.upper() for field in fields])
    writer.writerows([[row.get(field, "") for field in fields] for row in rows])
    return text.getvalue().encode("utf-16")


def _map(field: str) -> str:
    name = escape(field.upper())
    return (
        f"<EntityMap><ArrayIndex>0</ArrayIndex><EntityField>{name}</EntityField><XMLField>{name}</XMLField></EntityMap>"
    )


def compose(group: str, parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """A package of these rows by entity label; `rows` of one entity all have the fields of its first row."""
    manifest, files = "", dict[str, bytes]()
    for number, (label, rows) in enumerate(parts.items()):
        fields = list(rows[0])
        files[f"{label}.csv"] = _file(rows, fields)
        manifest += (
            "<DataManagementPackageEntityData><DefaultRefreshType>FullPush</DefaultRefreshType>"
            f"<EntityMapList>{''.join(map(_map, fields))}</EntityMapList><EntityName>{escape(label)}</EntityName>"
            f"<ExecutionUnit>1</ExecutionUnit><InputFilePath>{escape(label)}.csv</InputFilePath>"
            f"<LevelInExecutionUnit>{number + 1}</LevelInExecutionUnit><SequenceInLevel>1</SequenceInLevel>"
            "<SourceFormat>CSV-Unicode</SourceFormat></DataManagementPackageEntityData>"
        )
    document = (
        f'<?xml version="1.0" encoding="utf-8"?><DataManagementPackageManifest xmlns="{NAMESPACE}">'
        f"<DefinitionGroupName>{escape(group)}</DefinitionGroupName><PackageEntityList>{manifest}</PackageEntityList>"
        "</DataManagementPackageManifest>"
    )
    header = (
        f'<?xml version="1.0" encoding="utf-8"?><DataManagementPackageHeader xmlns="{NAMESPACE}">'
        f"<Description>{escape(group)}</Description><ManifestType>{_TYPE}</ManifestType>"
        "<PackageType>DefinitionGroup</PackageType><PackageVersion>2</PackageVersion></DataManagementPackageHeader>"
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_MANIFEST, document)
        archive.writestr(_HEADER, header)
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def _root(archive: zipfile.ZipFile, name: str) -> ET.Element:
    try:
        root = ET.fromstring(archive.read(name))  # noqa: S314 - a package of our own tests and loader
    except (KeyError, ET.ParseError) as error:
        raise BadPackage(f"{name} is missing or is not XML") from error
    if not root.tag.startswith(f"{{{NAMESPACE}}}"):
        raise BadPackage(f"{name} has another namespace")
    return root


def read(content: bytes) -> list[Part]:
    """The parts in order of execution. Raises BadPackage."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise BadPackage("the package is not a zip file") from error
    with archive:
        _root(archive, _HEADER)
        parts: list[Part] = []
        for entity in _root(archive, _MANIFEST).iter(f"{{{NAMESPACE}}}DataManagementPackageEntityData"):
            name = _text(entity, "EntityName")
            mapped = [_text(one, "XMLField") for one in entity.iter(f"{{{NAMESPACE}}}EntityMap")]
            if not mapped:
                continue  # without a map of fields nothing is staged, and nothing is told of it
            parts.append(Part(name, _rows(archive, _text(entity, "InputFilePath"), mapped)))
        return parts


def _text(node: ET.Element, name: str) -> str:
    return node.findtext(f"{{{NAMESPACE}}}{name}") or ""


def _rows(archive: zipfile.ZipFile, name: str, mapped: Sequence[str]) -> list[Mapping[str, str]]:
    try:
        data = archive.read(name)
    except KeyError as error:
        raise BadPackage(f"the package has no file {name}") from error
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadPackage("Selected file is not Unicode")
    text = data.decode("utf-16")
    if "\r\n" not in text:
        raise BadPackage(f"the mapping is incorrect for entity {name.removesuffix('.csv')}")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return [{field: row.get(field) or "" for field in mapped} for row in rows]
