"""`$metadata` of a service, made from the contract: EDMX of OData 2 with SAP's annotations, and of OData 4."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from deploy.sandbox.s4hana.schema import Child, EntitySet, Property, Service

_HEAD2 = (
    '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="1.0" '
    'xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" '
    'xmlns:sap="http://www.sap.com/Protocols/SAPData"><edmx:DataServices m:DataServiceVersion="2.0">'
)
_HEAD4 = (
    '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
    'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" '
    'xmlns="http://docs.oasis-open.org/odata/ns/edm"><edmx:DataServices>'
)


def _open(name: str, **attributes: str | None) -> str:
    given = "".join(f" {key.replace('__', ':')}={quoteattr(text)}" for key, text in attributes.items() if text)
    return f"<{name}{given}>"


def _tag(name: str, **attributes: str | None) -> str:
    return _open(name, **attributes)[:-1] + "/>"


def _sap(flag: bool) -> str | None:  # noqa: FBT001 - one fact
    return None if flag else "false"


def _property(prop: Property, *, version: int) -> str:
    kind = f"Edm.{prop.kind}"
    if prop.kind == "Decimal":
        facets = {"Precision": str(prop.length), "Scale": str(prop.scale or 0)} if prop.length else {}
    elif prop.kind in {"DateTime", "DateTimeOffset", "Time"}:
        facets = {"Precision": "7" if prop.kind == "DateTimeOffset" else "0"}
    else:
        facets = {"MaxLength": str(prop.length)} if prop.length else {}
    nullable = None if prop.nullable else "false"
    if version != 2:  # noqa: PLR2004 - the version
        return _tag("Property", Name=prop.name, Type=kind, Nullable=nullable, **facets)
    return _tag(
        "Property",
        Name=prop.name,
        Type=kind,
        Nullable=nullable,
        **facets,
        sap__label=prop.name,
        sap__creatable=_sap(prop.creatable),
        sap__updatable=_sap(prop.updatable),
        sap__filterable=_sap(prop.filterable),
    )


def edmx(service: Service) -> str:
    """The whole document."""
    return "".join(_version2(service) if service.version == 2 else _version4(service))  # noqa: PLR2004 - the version


def _association(entity: EntitySet, way: Child) -> str:
    return f"assoc_{entity.name}_{way.name}"


def _version2(service: Service) -> Iterator[str]:
    space = service.namespace
    yield _HEAD2
    yield _open("Schema", Namespace=space, xmlns="http://schemas.microsoft.com/ado/2008/09/edm")
    for entity in service.sets.values():
        yield _open("EntityType", Name=entity.type_name, sap__label=entity.name)
        yield "<Key>" + "".join(_tag("PropertyRef", Name=name) for name in entity.key) + "</Key>"
        yield from (_property(prop, version=2) for prop in entity.properties.values())
        for way in entity.children.values():
            name = _association(entity, way)
            ends = {"FromRole": f"FromRole_{name}", "ToRole": f"ToRole_{name}"}
            yield _tag("NavigationProperty", Name=way.name, Relationship=f"{space}.{name}", **ends)
        yield "</EntityType>"
    for name, result in service.results.items():
        yield _open("ComplexType", Name=name)
        yield from (_property(prop, version=2) for prop in result.fields.values())
        yield "</ComplexType>"
    for entity in service.sets.values():
        yield from (_joined(service, entity, way) for way in entity.children.values())
    yield _open("EntityContainer", Name=f"{space}_Entities", m__IsDefaultEntityContainer="true")
    for entity in service.sets.values():
        denied = {f"sap__{what}": "false" for what in sorted(entity.denied)}
        yield _tag("EntitySet", Name=entity.name, EntityType=f"{space}.{entity.type_name}", **denied)
    for entity in service.sets.values():
        for way in entity.children.values():
            name = _association(entity, way)
            yield _open("AssociationSet", Name=f"{name}_Set", Association=f"{space}.{name}")
            yield _tag("End", EntitySet=entity.name, Role=f"FromRole_{name}")
            yield _tag("End", EntitySet=way.target, Role=f"ToRole_{name}")
            yield "</AssociationSet>"
    yield from _functions(service)
    yield "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"


def _joined(service: Service, entity: EntitySet, way: Child) -> str:
    name, target = _association(entity, way), service.sets[way.target]
    ends = ((entity, "1", f"FromRole_{name}"), (target, "*" if way.many else "0..1", f"ToRole_{name}"))
    parts = [_open("Association", Name=name)]
    for one, multiplicity, role in ends:
        parts.append(_tag("End", Type=f"{service.namespace}.{one.type_name}", Multiplicity=multiplicity, Role=role))
    return "".join([*parts, "</Association>"])


def _functions(service: Service) -> Iterator[str]:
    space = service.namespace
    for function in service.functions.values():
        entity = service.sets[function.on]
        result = service.results.get(function.answers)
        kind = f"{space}.{entity.type_name if result is None else function.answers}"
        yield _open(
            "FunctionImport",
            Name=function.name,
            ReturnType=f"Collection({kind})" if result is not None and result.many else kind,
            EntitySet=entity.name if result is None else None,
            m__HttpMethod=function.verb,
        )
        for prop in function.parameters.values():
            length = {"MaxLength": str(prop.length)} if prop.length else {}
            yield _tag("Parameter", Name=prop.name, Type=f"Edm.{prop.kind}", Mode="In", **length)
        yield "</FunctionImport>"


def _version4(service: Service) -> Iterator[str]:
    space = service.namespace
    yield _HEAD4
    yield _open("Schema", Namespace=space, Alias="SAP__self")
    for entity in service.sets.values():
        yield _open("EntityType", Name=entity.type_name)
        yield "<Key>" + "".join(_tag("PropertyRef", Name=name) for name in entity.key) + "</Key>"
        yield from (_property(prop, version=4) for prop in entity.properties.values())
        yield "</EntityType>"
    for action, on in service.actions.items():
        bound = f"Collection({space}.{service.sets[on].type_name})"
        yield _open("Action", Name=action, IsBound="true", EntitySetPath="_it")
        yield _tag("Parameter", Name="_it", Type=bound, Nullable="false")
        yield _tag("ReturnType", Type=bound, Nullable="false") + "</Action>"
    yield _open("EntityContainer", Name="Container")
    for entity in service.sets.values():
        yield _tag("EntitySet", Name=entity.name, EntityType=f"{space}.{entity.type_name}")
    yield "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"
