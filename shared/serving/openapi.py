"""OpenAPI documents as callers need them: who may call, how it refuses, what it shows; routes and policies enter."""

from __future__ import annotations

import re
from typing import Any, cast

from shared.gateway.document import GatewayDocuments, Operation
from shared.gateway.gateway import path_shape
from shared.gateway.policies.masking.schema import mask_notes
from shared.serving.composed import NOTHING, composed
from shared.serving.described_answers import HEADERS, PROBLEM_SCHEMA, headers_of, problem_answers
from shared.serving.scopes import told

JSON = "application/json"
_SCHEMAS = "#/components/schemas/"
_PAGE = re.compile(r"(?:Shaped)?Page_(\w+)_").fullmatch
CONTACT = {"name": "Throughline maintainers", "url": "https://throughline.example/support"}
LICENSE = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
_ALWAYS = {400, 404, 406, 413, 422, 429, 500, 502, 503, 504}
_SEEN_ON_SUCCESS: tuple[str, ...] = ("X-Correlation-Id", "Deprecation", "Sunset", "Link")
_PLAIN_SUCCESS = "Successful Response"
_SUCCESS = {
    200: "What was asked for.",
    201: "It was created.",
    202: "It was accepted and goes on; read it again to see how far it is.",
    204: "It was done; there is nothing to tell.",
}
_TOKENS = (
    "Access token (RFC 9068, `typ: at+jwt`) of the built-in issuer or of the OpenID provider the house trusts. "
    "Programs get one by client credentials (a secret, or a signed assertion: private_key_jwt), people by "
    "authorization code with PKCE (S256). A token bound to a key (DPoP, RFC 9449) is sent as `Authorization: DPoP …` "
    "with a `DPoP` proof for the very request; sent as a bearer token it is refused."
)
_TIERS = {
    "system": "What the connected systems hold, in canonical words; called by the process tier.",
    "process": "The durable processes from won deal to cash; called by the experience tier on behalf of people.",
    "experience": "What people and partners see and order; open to portals, partners and API clients.",
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and request get the first answer again for a day; another request with it gets 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "examples": {"uuid": {"value": "7f3c1c52-6f0e-4ac9-9c39-5c9a4f3f2a10"}},
}


def described(document: dict[str, Any], gateway: GatewayDocuments) -> dict[str, Any]:
    """The framework's document with what the gateway adds: security, problems, headers, tags, examples."""
    document["info"] |= {
        "description": f"{_TIERS.get(gateway.tier, 'One tier of the house.')} Each API is versioned and documented "
        "for itself, too; this document holds all that this process serves.",
        "contact": CONTACT,
        "license": LICENSE,
    }
    components = document.setdefault("components", {})
    _name_pages(document)
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    components["headers"] = {name: dict(header) for name, header in HEADERS.items()}
    components["responses"] = problem_answers()
    components["securitySchemes"] = {"access_token": _access_token(gateway)}
    declared = {(one.method.lower(), path_shape(one.path)): one for one in gateway.operations()}
    reasons = _public_reasons(gateway)
    chapters: dict[str, str] = {}
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            facts = declared.get((method, path_shape(path)))
            if facts is not None:
                _describe(operation, facts, reasons.get((method, path_shape(path))), schemas)
                tag = (operation.get("tags") or [facts.api])[0]
                chapters.setdefault(tag, next(api.description for api in gateway.apis if api.api == facts.api))
    document["tags"] = [{"name": name, "description": text} for name, text in sorted(chapters.items())]
    _keep_what_is_used(document)
    return document


def _name_pages(document: dict[str, Any]) -> None:
    """`ShapedPage_Deal_`, as the framework calls a page of deals, becomes `DealPage`."""
    schemas: dict[str, Any] = document["components"].get("schemas", {})
    named = {name: f"{found[1]}Page" for name in schemas if (found := _PAGE(name)) is not None}
    document["components"]["schemas"] = {
        named.get(name, name): schema | {"title": named[name]} if name in named else schema
        for name, schema in schemas.items()
    }
    _refer(document, {f"{_SCHEMAS}{old}": f"{_SCHEMAS}{new}" for old, new in named.items()})


def _refer(part: Any, moved: dict[str, str]) -> None:
    if isinstance(part, dict):
        told = cast("dict[str, Any]", part)
        if told.get("$ref") in moved:
            told["$ref"] = moved[told["$ref"]]
        for below in told.values():
            _refer(below, moved)
    elif isinstance(part, list):
        for below in cast("list[Any]", part):
            _refer(below, moved)


def _describe(operation: dict[str, Any], facts: Operation, reason: str | None, schemas: dict[str, Any]) -> None:
    if facts.policies.masking is not None:
        operation["x-masked-unless-scope"] = mask_notes(facts.policies.masking)
    statuses = set(_ALWAYS)
    if not facts.is_public:
        statuses |= {401, 403}
        alternatives = [[*facts.scopes, one] for one in facts.one_of] or [list(facts.scopes)]
        operation["security"] = [{"access_token": scopes} for scopes in alternatives]
    else:
        operation["security"] = []
        operation["x-public"] = reason
    if facts.method != "GET":
        statuses |= {409, 412, 415}
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    _describe_answers(operation, facts, statuses, schemas)
    if "requestBody" in operation:
        _describe_body(operation, schemas)
    if facts.policies.idempotency is not None:
        required = facts.policies.idempotency.required
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY | {"required": required})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or left out: `null` cannot be written in a path, a query or a header."""
    branches = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(branches) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**branches[0], **rest}


def _describe_answers(operation: dict[str, Any], facts: Operation, statuses: set[int], schemas: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation.setdefault("responses", {})
    declared = {int(status) for status in responses if status[0] in "45"}
    for status in sorted(statuses | declared):
        told = responses.get(str(status), {})
        if "content" not in told or "HTTPValidationError" in str(told):
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    for status, answer in responses.items():
        if "$ref" in answer:
            continue
        is_success = status[0] in "23"
        names = list(_SEEN_ON_SUCCESS if is_success else _SEEN_ON_SUCCESS[:1])
        if is_success and not facts.is_public:
            names += ["RateLimit", "RateLimit-Policy"]
        if is_success and facts.policies.idempotency is not None:
            names.append("Idempotency-Replayed")
        if status in {"429", "503"}:
            names.append("Retry-After")
        answer["headers"] = {**headers_of(*names), **answer.get("headers", {})}
        if is_success and answer.get("description", _PLAIN_SUCCESS) == _PLAIN_SUCCESS:
            answer["description"] = _SUCCESS[int(status)]
        for media in answer.get("content", {}).values():
            _show(media, schemas)
    operation["responses"] = dict(sorted(responses.items()))


def _describe_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    body = operation["requestBody"]
    for media in body.get("content", {}).values():
        _show(media, schemas)
        target = schemas.get(media.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
        body.setdefault("description", target.get("description", ""))


def _show(media: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a body an example, made of what its properties show."""
    if "example" not in media and not media.get("examples"):
        value = composed(media.get("schema", {}), schemas)
        if value is not NOTHING:
            media["examples"] = {"sample": {"summary": "From the sample firm", "value": value}}


def _access_token(gateway: GatewayDocuments) -> dict[str, Any]:
    scopes = _scopes(gateway)
    return {
        "type": "oauth2",
        "description": _TOKENS,
        "flows": {
            "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": scopes},
            "authorizationCode": {
                "authorizationUrl": "/oauth/authorize",
                "tokenUrl": "/oauth/token",
                "refreshUrl": "/oauth/token",
                "scopes": scopes,
            },
        },
    }


def _scopes(gateway: GatewayDocuments) -> dict[str, str]:
    asked = {scope for one in gateway.operations() for scope in (*one.scopes, *one.one_of)}
    masks = [one.policies.masking for one in gateway.operations()]
    shown = {field.unless_scope for mask in masks if mask for field in mask.fields.values()}
    return {name: told(name) for name in sorted(asked | shown)}


def _public_reasons(gateway: GatewayDocuments) -> dict[tuple[str, str], str]:
    return {
        (name.partition(" ")[0].lower(), path_shape(version.base + name.partition(" ")[2])): operation.public
        for api in gateway.apis
        for version in api.versions.values()
        for name, operation in version.operations.items()
        if operation.public
    }


def _keep_what_is_used(document: dict[str, Any]) -> None:
    used = reached(document["components"], document.get("paths", {}))
    document["components"] = used | {"securitySchemes": document["components"]["securitySchemes"]}


def reached(components: dict[str, Any], start: Any) -> dict[str, Any]:
    """The components that are referred to, directly or not, by name."""
    kept: dict[str, dict[str, Any]] = {"schemas": {}, "responses": {}, "headers": {}, "parameters": {}}
    waiting = list(references(start))
    while waiting:
        kind, name = waiting.pop().removeprefix("#/components/").split("/", 1)
        if name not in kept[kind]:
            kept[kind][name] = components[kind][name]
            waiting += references(components[kind][name])
    return {kind: dict(sorted(found.items())) for kind, found in kept.items() if found}


def references(node: Any) -> list[str]:
    """Every `$ref` below a node."""
    if isinstance(node, list):
        return [one for value in cast("list[Any]", node) for one in references(value)]
    if not isinstance(node, dict):
        return []
    members = cast("dict[str, Any]", node)
    found: list[str] = [members["$ref"]] if isinstance(members.get("$ref"), str) else []
    return found + [one for name, value in members.items() if name != "$ref" for one in references(value)]
