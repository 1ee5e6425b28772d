"""Metadata answers: the org's objects and fields as describe words them."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.salesforce.schema import NUMBERS, Field, Schema, SObject

Json = dict[str, Any]
_SOAP = {"int": "xsd:int", "boolean": "xsd:boolean", "date": "xsd:date", "datetime": "xsd:dateTime", "id": "tns:ID"}
_DIGITS = 18


def outline(sobject: SObject, version: str) -> Json:
    """The short form, as the list of objects has it."""
    base = f"/services/data/v{version}/sobjects/{sobject.name}"
    label = sobject.name.removesuffix("__c").replace("_", " ")
    may = not sobject.is_setup
    return {
        "name": sobject.name,
        "label": label,
        "labelPlural": f"{label}s",
        "keyPrefix": sobject.prefix,
        "custom": sobject.is_custom,
        "createable": may,
        "updateable": may,
        "deletable": may,
        "queryable": True,
        "retrieveable": True,
        "replicateable": may,
        "triggerable": may,
        "urls": {"sobject": base, "describe": f"{base}/describe", "rowTemplate": base + "/{ID}"},
    }


def _field(listed: Field) -> Json:
    kind = {"autonumber": "string"}.get(listed.kind, listed.kind)
    is_number = kind in NUMBERS
    given_by_platform = listed.default is not None or kind == "boolean" or listed.name == "OwnerId"
    return {
        "name": listed.name,
        "label": listed.name.removesuffix("__c").replace("_", " "),
        "type": kind,
        "soapType": _SOAP.get(kind, "xsd:double" if is_number else "xsd:string"),
        "length": listed.length,
        "precision": _DIGITS if is_number and kind != "int" else 0,
        "digits": 8 if kind == "int" else 0,
        "scale": listed.scale,
        "nillable": not listed.required
        and kind not in {"boolean", "id"}
        and not listed.name.startswith("LastModified"),
        "createable": listed.createable,
        "updateable": listed.updateable,
        "defaultedOnCreate": given_by_platform or not listed.createable,
        "custom": listed.is_custom,
        "externalId": listed.external,
        "idLookup": listed.external or kind == "id",
        "unique": listed.unique,
        "caseSensitive": listed.cased and listed.external,
        "autoNumber": listed.kind == "autonumber",
        "calculated": bool(listed.formula),
        "nameField": listed.is_name,
        "filterable": kind not in {"textarea", "address"} or listed.length <= 255,  # noqa: PLR2004 - the vendor's bound
        "sortable": kind != "address",
        "groupable": kind not in NUMBERS | {"textarea", "address"},
        "restrictedPicklist": listed.restricted,
        "picklistValues": [
            {"active": True, "defaultValue": value == listed.default, "label": value, "value": value, "validFor": None}
            for value in listed.values
        ],
        "referenceTo": [listed.target] if listed.target else [],
        "relationshipName": listed.parent,
        "deprecatedAndHidden": False,
    }


def describe(schema: Schema, sobject: SObject, version: str) -> Json:
    """Everything about an object."""
    children = [
        {
            "childSObject": child,
            "field": reference,
            "relationshipName": schema[child].fields[reference].children,
            "cascadeDelete": schema[child].fields[reference].required,
            "deprecatedAndHidden": False,
            "restrictedDelete": False,
        }
        for child, reference in sobject.children.values()
    ]
    return {
        **outline(sobject, version),
        "fields": [_field(listed) for listed in sobject.shown],
        "childRelationships": children,
        "recordTypeInfos": [
            {
                "active": True,
                "available": True,
                "defaultRecordTypeMapping": True,
                "master": True,
                "name": "Master",
                "recordTypeId": "012000000000000AAA",
            }
        ],
    }


def describe_all(schema: Schema, version: str) -> Json:
    """All objects in short form."""
    listed = [outline(sobject, version) for sobject in schema.values()]
    return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed}
