"""What the environment says of its own tables: EntityDefinitions, relationships, and the CSDL document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import quoteattr

from deploy.sandbox.dynamics_sales.errors import DataverseError, bad_query, no_segment
from deploy.sandbox.dynamics_sales.rows import Json
from deploy.sandbox.dynamics_sales.schema import EDM, Column, Schema, Table, tables
from deploy.sandbox.kit.odata import ODataRefused, parse_filter
from deploy.sandbox.kit.odata_options import Expand, parse_expand, parse_key, parse_select

_TYPES = {
    "string": "String",
    "memo": "Memo",
    "int": "Integer",
    "bigint": "BigInt",
    "decimal": "Decimal",
    "money": "Money",
    "boolean": "Boolean",
    "picklist": "Picklist",
    "state": "State",
    "status": "Status",
    "date": "DateTime",
    "datetime": "DateTime",
    "guid": "Uniqueidentifier",
    "lookup": "Lookup",
    "customer": "Customer",
}
_CAST = "Microsoft.Dynamics.CRM."


def _id_of(*names: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(names)))


def _label(text: str, *names: str) -> Json:
    one = {"Label": text, "LanguageCode": 1033, "IsManaged": False, "MetadataId": _id_of("label", *names)}
    return {"LocalizedLabels": [one], "UserLocalizedLabel": one}


def _level(column: Column, table: Table) -> str:
    if column.is_needed or column.name == table.id_column or column.kind == "state":
        return "SystemRequired"
    return "ApplicationRequired" if column.is_wanted else "None"


def _options(table: Table, column: Column) -> Json:
    kinds = {"state": "State", "status": "Status", "boolean": "Boolean"}
    options = [
        {"Value": value, "Label": _label(label, table.name, column.name, str(value)), "State": column.states.get(value)}
        for value, label in column.options.items()
    ]
    return {
        "Name": f"{table.name}_{column.name}",
        "OptionSetType": kinds.get(column.kind, "Picklist"),
        "IsGlobal": False,
        "Options": options,
        "MetadataId": _id_of("options", table.name, column.name),
    }


def _attribute(table: Table, column: Column) -> Json:
    kind = "Owner" if column.name == "ownerid" else _TYPES[column.kind]
    facts: Json = {
        "@odata.type": f"#{_CAST}{kind}AttributeMetadata",
        "MetadataId": _id_of("attribute", table.name, column.name),
        "LogicalName": column.name,
        "SchemaName": column.schema,
        "EntityLogicalName": table.name,
        "AttributeType": kind,
        "AttributeTypeName": {"Value": f"{kind}Type"},
        "IsPrimaryId": column.name == table.id_column,
        "IsPrimaryName": column.name == table.name_column,
        "IsCustomAttribute": column.is_custom,
        "IsValidForRead": True,
        "IsValidForCreate": not column.is_readonly,
        "IsValidForUpdate": not (column.is_readonly or column.is_createonly),
        "RequiredLevel": {
            "Value": _level(column, table),
            "CanBeChanged": not column.is_needed,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "DisplayName": _label(column.schema.removeprefix("thl_"), table.name, column.name),
        "AttributeOf": None,
    }
    if column.kind in {"string", "memo"}:
        facts["MaxLength"] = column.length
    if column.kind in {"picklist", "state", "status"}:
        facts["OptionSet"] = _options(table, column)
    if column.kind == "date":
        facts |= {"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}
    if column.targets:
        facts["Targets"] = list(column.targets)
    return facts


def _definition(table: Table) -> Json:
    return {
        "MetadataId": _id_of("entity", table.name),
        "LogicalName": table.name,
        "SchemaName": table.schema,
        "EntitySetName": table.set_name,
        "LogicalCollectionName": table.set_name,
        "PrimaryIdAttribute": table.id_column,
        "PrimaryNameAttribute": table.name_column,
        "ChangeTrackingEnabled": table.is_tracked,
        "IsCustomEntity": table.schema.startswith("thl_"),
        "IsActivity": table.name == "opportunityclose",
        "OwnershipType": "UserOwned",
        "DisplayName": _label(table.schema.removeprefix("thl_"), table.name),
    }


def _relationship(table: Table, navigation: str, column: Column, target: str) -> Json:
    child = f"{column.children}_{target}s" if column.kind == "customer" else column.children
    return {
        "@odata.type": f"#{_CAST}OneToManyRelationshipMetadata",
        "MetadataId": _id_of("relationship", table.name, navigation),
        "SchemaName": f"{target}_{table.name}_{column.name}",
        "ReferencingEntity": table.name,
        "ReferencingAttribute": column.name,
        "ReferencingEntityNavigationPropertyName": navigation,
        "ReferencedEntity": target,
        "ReferencedAttribute": tables()[target].id_column,
        "ReferencedEntityNavigationPropertyName": child or f"{target}_{table.name}",
    }


def _key(table: Table, name: str, columns: Sequence[str]) -> Json:
    facts = {"MetadataId": _id_of("key", table.name, name), "LogicalName": name, "SchemaName": name}
    return facts | {"KeyAttributes": list(columns), "EntityKeyIndexStatus": "Active"}


def _collections(table: Table) -> Mapping[str, Sequence[Json]]:
    return {
        "Attributes": [_attribute(table, column) for column in table.columns.values()],
        "ManyToOneRelationships": [_relationship(table, nav, *way) for nav, way in table.parents.items()],
        "Keys": [_key(table, key, columns) for key, columns in table.keys.items()],
    }


def answer_definitions(schema: Schema, segments: Sequence[str], options: Mapping[str, str], root: str) -> Json:
    """`EntityDefinitions…` whatever follows. Raises DataverseError."""
    context = f"{root}$metadata#EntityDefinitions"
    _, key = _parsed(segments[0])
    if key is None:
        if len(segments) > 1:
            raise no_segment(segments[1])
        return {"@odata.context": context, "value": _chosen([_definition(t) for t in schema.tables.values()], options)}
    table = _table(schema, key)
    if len(segments) == 1:
        return {"@odata.context": f"{context}/$entity", **_chosen([_definition(table)], options, table)[0]}
    name, inner = _parsed(segments[1])
    listed = _collections(table).get(name)
    if listed is None:
        raise no_segment(name)
    if len(segments) > 2:  # noqa: PLR2004 - a cast to the kind of attribute
        cast_to = segments[2].removeprefix(_CAST)
        listed = [one for one in listed if one["@odata.type"] == f"#{_CAST}{cast_to}"]
    context = f"{context}('{table.name}')/{name}"
    if inner is None:
        return {"@odata.context": context, "value": _chosen(listed, options)}
    found = [one for one in listed if one["LogicalName"] == inner.get("LogicalName")]
    if not found:
        raise _unknown(str(inner.get("LogicalName")))
    return {"@odata.context": f"{context}/$entity", **_chosen(found, options)[0]}


def _parsed(segment: str) -> tuple[str, Mapping[str, Any] | None]:
    try:
        return parse_key(segment)
    except ODataRefused as error:
        raise bad_query(str(error)) from None


def _unknown(name: str) -> DataverseError:
    return DataverseError(404, "0x80060888", f"Resource not found: could not find an entity with name {name}.")


def _table(schema: Schema, key: Mapping[str, Any]) -> Table:
    name = str(key.get("LogicalName") or "")
    wanted = str(key.get("") or key.get("MetadataId") or "")
    known = schema.tables
    found = known.get(name) or next((one for one in known.values() if _id_of("entity", one.name) == wanted), None)
    if found is None:
        raise _unknown(name or wanted)
    return found


def _chosen(listed: Sequence[Json], options: Mapping[str, str], table: Table | None = None) -> list[Json]:
    try:
        condition: Callable[[Any], bool] = (
            parse_filter(options["$filter"]) if options.get("$filter") else lambda _: True
        )
        expand = parse_expand(options.get("$expand", ""))
        select = parse_select(options.get("$select", ""))
    except ODataRefused as error:
        raise bad_query(str(error)) from None
    return [_cut(one, select, expand, table) for one in listed if condition(one)]


def _cut(facts: Json, select: Sequence[str], expand: Mapping[str, Expand], table: Table | None) -> Json:
    always = {name for name in ("@odata.type", "MetadataId") if name in facts}
    if select and (strange := [name for name in select if name not in facts]):
        raise bad_query(f"Could not find a property named '{strange[0]}' on the metadata type.")
    wanted = (set(select) | always) if select else set(facts) - {"OptionSet"}
    cut = {name: value for name, value in facts.items() if name in wanted}
    inside: Mapping[str, Sequence[Json]] = _collections(table) if table and expand else {}
    for name, asked in expand.items():
        if name == "GlobalOptionSet":
            cut[name] = None
        elif name in facts:
            only = parse_select(asked.options.get("select", ""))
            cut[name] = {key: value for key, value in facts[name].items() if not only or key in only}
        elif name in inside:
            inner = {f"${key}": value for key, value in asked.options.items()}
            cut[name] = _chosen(inside[name], inner)
        else:
            raise bad_query(f"Could not find a property named '{name}' to expand.")
    return cut


def csdl(schema: Schema) -> bytes:
    """The `$metadata` document."""
    parts: list[str] = []
    for table in schema.tables.values():
        listed = [
            f"<Property Name={quoteattr(name)} Type={quoteattr(EDM[column.kind])} />"
            for name, column in table.properties.items()
        ]
        ways = [
            f"<NavigationProperty Name={quoteattr(name)} Type={quoteattr(f'mscrm.{target}')} />"
            for name, (_, target) in table.parents.items()
        ]
        ways += [
            f"<NavigationProperty Name={quoteattr(name)} Type={quoteattr(f'Collection(mscrm.{child})')} />"
            for name, (child, _) in table.children.items()
        ]
        key = f"<Key><PropertyRef Name={quoteattr(table.id_column)} /></Key>"
        parts.append(f"<EntityType Name={quoteattr(table.name)}>{key}{''.join(listed + ways)}</EntityType>")
    sets = "".join(
        f"<EntitySet Name={quoteattr(table.set_name)} EntityType={quoteattr(f'Microsoft.Dynamics.CRM.{table.name}')} />"
        for table in schema.tables.values()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/'
        'ns/edmx"><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" '
        f'xmlns="http://docs.oasis-open.org/odata/ns/edm">{"".join(parts)}<EntityContainer Name="System">{sets}'
        "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"
    ).encode()
