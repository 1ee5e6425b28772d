"""What the environment says of itself: `$metadata` (EDMX) and the JSON metadata service; no row enters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from deploy.sandbox.dynamics_finance.schema import ENUMS, NAMESPACE, SETS, EntitySet, Field

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "GetAzureWriteUrl": ("uniqueFileName",),
    "ImportFromPackage": ("packageUrl", "definitionGroupId", "executionId", "execute", "overwrite", "legalEntityId"),
    "ExportToPackage": ("definitionGroupId", "packageName", "executionId", "reExecute", "legalEntityId"),
    "GetExecutionSummaryStatus": ("executionId",),
    "GetExportedPackageUrl": ("executionId",),
    "GetExecutionErrors": ("executionId",),
    "GetImportStagingErrorFileUrl": ("executionId", "entityName"),
    "GenerateImportTargetErrorKeysFile": ("executionId", "entityName"),
    "GetImportTargetErrorKeysFileUrl": ("executionId", "entityName"),
}


def _property(field: Field) -> str:
    nullable = "" if field.kind == "text" or field.is_enum else ' Nullable="false"'
    if field.is_key:
        nullable = ' Nullable="false"'
    return f"<Property Name={quoteattr(field.name)} Type={quoteattr(field.edm)}{nullable}/>"


def _type(entity: EntitySet) -> str:
    keys = "".join(f"<PropertyRef Name={quoteattr(name)}/>" for name in entity.keys)
    fields = "".join(map(_property, entity.fields.values()))
    return f"<EntityType Name={quoteattr(entity.entity)}><Key>{keys}</Key>{fields}</EntityType>"


def _enum(name: str, members: tuple[str, ...]) -> str:
    listed = "".join(f'<Member Name={quoteattr(member)} Value="{number}"/>' for number, member in enumerate(members))
    return f"<EnumType Name={quoteattr(name)}>{listed}</EnumType>"


def _action(name: str, parameters: tuple[str, ...]) -> str:
    bound = f'<Parameter Name="bindingParameter" Type="Collection({NAMESPACE}.DataManagementDefinitionGroup)"/>'
    listed = "".join(f'<Parameter Name={quoteattr(one)} Type="Edm.String"/>' for one in parameters)
    return f'<Action Name={quoteattr(name)} IsBound="true">{bound}{listed}<ReturnType Type="Edm.String"/></Action>'


def edmx(sets: Mapping[str, EntitySet]) -> str:
    """The whole model."""
    types = "".join(map(_type, sets.values()))
    enums = "".join(_enum(name, members) for name, members in ENUMS.items())
    actions = "".join(_action(name, parameters) for name, parameters in ACTIONS.items())
    listed = "".join(
        f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr(f'{NAMESPACE}.{one.entity}')}/>"
        for name, one in sets.items()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        f'<Schema Namespace="{NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        f"{enums}{types}{actions}"
        f'<EntityContainer Name="Resources">{listed}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


_DATA_TYPES = {
    "text": "String",
    "decimal": "Real",
    "date": "Date",
    "int": "Int32",
    "long": "Int64",
    "guid": "Guid",
    "flag": "Boolean",
}


def public_entity(set_name: str, entity: EntitySet) -> dict[str, Any]:
    """A data entity as `/metadata/PublicEntities('…')` tells it."""
    return {
        "Name": entity.entity,
        "EntitySetName": set_name,
        "LabelId": f"@Entity:{entity.entity}",
        "IsReadOnly": entity.is_read_only,
        "ConfigurationEnabled": True,
        "Properties": [
            {
                "Name": field.name,
                "TypeName": field.edm,
                "DataType": _DATA_TYPES.get(field.kind, "Enum"),
                "LabelId": f"@Field:{field.name}",
                "IsKey": field.is_key,
                "IsMandatory": field.is_mandatory,
                "ConfigurationEnabled": True,
                "AllowEdit": not field.is_read_only and not field.is_create_only and not entity.is_read_only,
                "AllowEditOnCreate": not field.is_read_only and not entity.is_read_only,
                "IsDimension": False,
                "DimensionRelation": None,
                "IsDynamicDimension": False,
                "DimensionLegalEntityProperty": None,
                "DimensionTypeProperty": None,
            }
            for field in entity.fields.values()
        ],
        "NavigationProperties": [],
        "PropertyGroups": [],
        "Actions": [],
    }


def data_entity(set_name: str, entity: EntitySet) -> dict[str, Any]:
    """A data entity as `/metadata/DataEntities` lists it."""
    return {
        "Name": entity.table or f"{entity.entity}Entity",
        "PublicEntityName": entity.entity,
        "PublicCollectionName": set_name,
        "LabelId": f"@Entity:{entity.entity}",
        "DataServiceEnabled": True,
        "DataManagementEnabled": True,
        "EntityCategory": "Master",
        "IsReadOnly": entity.is_read_only,
    }


def enumeration(name: str) -> dict[str, Any] | None:
    """An enumeration as `/metadata/PublicEnumerations('…')` tells it."""
    members = ENUMS.get(name)
    if members is None:
        return None
    return {
        "Name": name,
        "LabelId": "",
        "Members": [{"Name": member, "Value": number, "LabelId": ""} for number, member in enumerate(members)],
    }


def renamed(names: Mapping[str, str]) -> dict[str, EntitySet]:
    """The sets under the names this environment has for them."""
    return {names.get(name, name): entity for name, entity in SETS.items()}
