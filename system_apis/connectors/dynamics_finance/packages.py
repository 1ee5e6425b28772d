"""Data packages as the data management framework takes them: manifest, header and one file of rows; pure bytes."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

_NAMESPACE: Final = "http://schemas.microsoft.com/dynamics/2015/01/DataManagement"
_SERIALIZATION: Final = "Microsoft.Dynamics.AX.Framework.Tools.DataManagement.Serialization"


def compose(group: str, label: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A package with rows of one entity; every row has the fields of the first.

    The framework wants a map of fields (without one it stages nothing and says nothing), UTF-16 and CRLF.
    """
    columns = list(rows[0])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Manifest.xml", _manifest(group, label, columns))
        archive.writestr("PackageHeader.xml", _header(group))
        archive.writestr(f"{label}.csv", _file(columns, rows))
    return content.getvalue()


def _file(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.upper() for column in columns])
    writer.writerows([["" if row[column] is None else row[column] for column in columns] for row in rows])
    return text.getvalue().encode("utf-16")


def _element(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>"


def _manifest(group: str, label: str, columns: Sequence[str]) -> str:
    maps = "".join(
        _element(
            "EntityMap",
            "<ArrayIndex>0</ArrayIndex>" + _element("EntityField", column) + _element("XMLField", column),
        )
        for column in (escape(column.upper()) for column in columns)
    )
    entity = (
        "<DefaultRefreshType>FullPush</DefaultRefreshType>"
        + _element("EntityMapList", maps)
        + _element("EntityName", escape(label))
        + "<ExecutionUnit>1</ExecutionUnit>"
        + _element("InputFilePath", f"{escape(label)}.csv")
        + "<LevelInExecutionUnit>1</LevelInExecutionUnit><SequenceInLevel>1</SequenceInLevel>"
        + "<SourceFormat>CSV-Unicode</SourceFormat>"
    )
    inside = _element("DefinitionGroupName", escape(group)) + _element(
        "PackageEntityList", _element("DataManagementPackageEntityData", entity)
    )
    return _document("DataManagementPackageManifest", inside)


def _header(group: str) -> str:
    inside = (
        _element("Description", escape(group))
        + _element("ManifestType", f"{_SERIALIZATION}.DataManagementPackageManifest")
        + "<PackageType>DefinitionGroup</PackageType><PackageVersion>2</PackageVersion>"
    )
    return _document("DataManagementPackageHeader", inside)


def _document(name: str, inside: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><{name} xmlns="{_NAMESPACE}">{inside}</{name}>'
