"""Where each service of the environment answers: routes, the token check, throttling, headers, `$batch`."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.sandbox.dynamics_finance import metadata
from deploy.sandbox.dynamics_finance.entities import Entities, Outcome, refusal_of
from deploy.sandbox.dynamics_finance.errors import Refusal, bad_request, throttled, unknown_caller
from deploy.sandbox.dynamics_finance.jobs import Jobs
from deploy.sandbox.dynamics_finance.posting import Posting
from deploy.sandbox.dynamics_finance.rules import refused_by
from deploy.sandbox.dynamics_finance.schema import NAMESPACE
from deploy.sandbox.dynamics_finance.tokens import Application, Door, TokenRefused
from deploy.sandbox.dynamics_finance.values import shown, written
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_batch import BatchAnswer, BatchCall, read_batch, write_batch

JSON: Final = "application/json; odata.metadata=minimal; odata.streaming=true"
LARGEST_BATCH: Final = 5_000
_REFUSED_FROM: Final[Mapping[str, int]] = {"low": 60, "medium": 80, "high": 95}
_LONGEST: Final = 32
Endpoint = Callable[[Request], Awaitable[Response]]


class Desk:
    """The environment's front desk: everything that comes over the wire passes here."""

    def __init__(self, door: Door, entities: Entities, posting: Posting, jobs: Jobs) -> None:
        """Unburdened: nobody is throttled."""
        self.door = door
        self.entities = entities
        self.posting = posting
        self.jobs = jobs
        self.load = 0
        self.retry_after: int | None = 1
        self.has_posting_service = True
        self.batch_every = 0
        self._denied = 0
        self._served = 0

    def reset(self) -> None:
        """No load, no job."""
        self.load = self._denied = self._served = 0
        self.jobs.forget()

    def app(self) -> ASGIApp:
        """The environment as an ASGI app; the case of the first part of an address does not matter."""
        inner = self._routed()

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            root = scope.get("root_path", "")
            first, slash, rest = scope["path"].removeprefix(root).lstrip("/").partition("/")
            await inner({**scope, "path": f"{root}/{first.lower()}{slash}{rest}"}, receive, send)

        return serve

    def _routed(self) -> Starlette:
        action = f"/data/DataManagementDefinitionGroups/{NAMESPACE}.{{action}}"
        routes = [
            Route("/{tenant}/oauth2/v2.0/token", self.token, methods=["POST"]),
            Route("/{tenant}/oauth2/token", self.token, methods=["POST"]),
            Route("/data/$metadata", self._guarded(self.edmx), methods=["GET"]),
            Route("/data/$batch", self._guarded(self.batch), methods=["POST"]),
            Route(action, self._guarded(self.action), methods=["POST"]),
            Route("/data/{name}/$count", self._guarded(self.count), methods=["GET"]),
            Route(
                "/data/{segment:path}", self._guarded(self.entity), methods=["GET", "POST", "PATCH", "PUT", "DELETE"]
            ),
            Route("/data", self._guarded(self.service_document), methods=["GET"]),
            Route("/metadata/{segment:path}", self._guarded(self.describe), methods=["GET"]),
            Route("/api/services/{group}/{service}/{operation}", self._guarded(self.operation), methods=["POST"]),
            Route("/blob/{name}", self.blob, methods=["GET", "PUT"]),
        ]
        return Starlette(routes=routes)

    def throttled(self) -> Response:
        """The limit answer of a service short of resources; the longer it lasts the longer it asks to wait."""
        if self.retry_after is None:
            return throttled(None)
        self._denied += 1
        return throttled(min(self.retry_after * 2 ** (self._denied - 1), _LONGEST) if self.load else self.retry_after)

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def serve(request: Request) -> Response:
            caller = self.door.caller(request.headers.get("authorization", ""))
            if caller is None:
                return unknown_caller()
            if self._is_short_for(caller):
                return self.throttled()
            self._denied = 0
            try:
                response = await endpoint(request)
            except Refusal as refusal:
                response = refusal.response()
            self._tick()
            response.headers["ms-dyn-aid"] = secrets.token_hex(8)
            if echoed := request.headers.get("x-ms-client-request-id"):
                response.headers["x-ms-client-request-id"] = echoed
            return response

        return serve

    def _is_short_for(self, caller: Application) -> bool:
        return self.load >= _REFUSED_FROM[caller.priority]

    def _tick(self) -> None:
        self._served += 1
        if self.batch_every and self._served % self.batch_every == 0:
            self.posting.run_batch()

    @staticmethod
    def root(request: Request) -> str:
        """Our own address as this client spells it."""
        host = request.headers.get("host", "localhost")
        return f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}"

    async def token(self, request: Request) -> Response:
        """A bearer token for an application."""
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            return JSONResponse(self.door.open(str(request.path_params["tenant"]), form, self.root(request)))
        except TokenRefused as refused:
            return JSONResponse(refused.document, 401 if refused.document["error"] == "invalid_client" else 400)

    async def service_document(self, request: Request) -> Response:
        """All entity sets."""
        listed = [{"name": name, "kind": "EntitySet", "url": name} for name in self.entities.known()]
        return _json({"@odata.context": f"{self.root(request)}/data/$metadata", "value": listed})

    async def edmx(self, request: Request) -> Response:
        """The model."""
        del request
        return Response(metadata.edmx(self.entities.known()), media_type="application/xml")

    async def describe(self, request: Request) -> Response:
        """The metadata service."""
        name, _, inside = str(request.path_params["segment"]).partition("(")
        wanted, known = inside.rstrip(")").strip("'"), self.entities.known()
        if name == "PublicEntities" and wanted:
            placed = next((place for place, one in known.items() if one.entity == wanted), None)
            if placed is None:
                raise Refusal(404, f"Entity '{wanted}' not found.")
            return _json(metadata.public_entity(placed, known[placed]))
        if name == "PublicEntities":
            return _json({"value": [metadata.public_entity(place, one) for place, one in known.items()]})
        if name == "DataEntities":
            listed = [metadata.data_entity(place, one) for place, one in known.items()]
            found = [one for one in listed if not wanted or one["Name"] == wanted]
            if wanted and found:
                return _json(found[0])
            if not wanted:
                return _json({"value": found})
        if name == "PublicEnumerations" and (enumeration := metadata.enumeration(wanted)):
            return _json(enumeration)
        raise Refusal(404, f"{name} has no '{wanted}'.")

    async def count(self, request: Request) -> Response:
        """How many rows."""
        return PlainTextResponse(str(self.entities.count(str(request.path_params["name"]), _options(request))))

    async def entity(self, request: Request) -> Response:
        """Read or change."""
        segment = str(request.path_params["segment"])
        body = await _body(request) if request.method in {"POST", "PATCH", "PUT"} else None
        outcome = self._done(
            request.method, segment, _options(request), body, dict(request.headers), self.root(request)
        )
        return _answer(outcome)

    def _done(
        self,
        method: str,
        segment: str,
        options: Mapping[str, str],
        body: Any,
        headers: Mapping[str, str],
        root: str,
    ) -> Outcome:
        if method == "GET":
            outcome = self.entities.read(segment, options, root)
            if following := outcome.body.get("@odata.nextLink"):
                place, kept = following
                outcome.body["@odata.nextLink"] = f"{root}/data/{place}?{urlencode(kept, quote_via=quote)}"
            return outcome
        match = headers.get("if-match")
        if method == "DELETE":
            self.entities.delete(segment, options, match)
            return Outcome(204)
        if method in {"PATCH", "PUT"}:
            self.entities.change(segment, body, options, match)
            return Outcome(204)
        entity, row = self.entities.create(segment, body)
        if "return=minimal" in headers.get("prefer", ""):
            return Outcome(204)
        return Outcome(201, {"@odata.context": f"{root}/data/$metadata#{segment}/$entity", **shown(entity, row)})

    async def batch(self, request: Request) -> Response:
        """Several requests at once; a change set is done whole or not at all."""
        try:
            calls = read_batch(await request.body(), request.headers.get("content-type", ""))
        except ODataRefused as refused:
            raise bad_request(str(refused)) from refused
        if sum(1 if isinstance(call, BatchCall) else len(call) for call in calls) > LARGEST_BATCH:
            raise bad_request(f"A batch holds at most {LARGEST_BATCH} operations.")
        root = self.root(request)
        answers = [
            self._single(call, root) if isinstance(call, BatchCall) else self._change_set(call, root) for call in calls
        ]
        content, kind = write_batch(answers)
        return Response(content, 200, media_type=kind)

    def _single(self, call: BatchCall, root: str) -> BatchAnswer:
        try:
            outcome = self._called(call, root)
        except Refusal as refusal:
            outcome = refusal_of(refusal)
        return _part(call, outcome)

    def _change_set(self, calls: list[BatchCall], root: str) -> list[BatchAnswer] | BatchAnswer:
        try:
            with self.entities.environment.transaction():
                return [_part(call, self._called(call, root)) for call in calls]
        except Refusal as refusal:
            return _part(calls[0], refusal_of(refusal))

    def _called(self, call: BatchCall, root: str) -> Outcome:
        path, _, options = call.url.removeprefix(root).lstrip("/").removeprefix("data/").partition("?")
        headers = {name.lower(): value for name, value in call.headers.items()}
        body = _parsed(call.body) if call.body.strip() else None
        return self._done(call.method, unquote(path), dict(parse_qsl(options)), body, headers, root)

    async def action(self, request: Request) -> Response:
        """An action of the data management framework."""
        body = await _body(request)
        root = self.root(request)
        given = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        value = self.jobs.act(
            str(request.path_params["action"]), given, lambda name: f"{root}/blob/{name}?sv=2024&sig={uuid.uuid4().hex}"
        )
        return _json({"@odata.context": f"{root}/data/$metadata#Edm.String", "value": value})

    async def operation(self, request: Request) -> Response:
        """The posting service that the customer installs for us."""
        path = tuple(str(request.path_params[part]) for part in ("group", "service", "operation"))
        if path != ("TLServices", "TLPostingService", "post") or not self.has_posting_service:
            raise Refusal(404, "The service operation was not found.")
        body = await _body(request)
        try:
            header = self.posting.post(str(body["documentType"]), str(body["company"]).lower(), str(body["document"]))
        except KeyError as missing:
            return JSONResponse({"Message": f"The parameter {missing.args[0]} is missing."}, 400)
        except Refusal as refusal:
            return _json({"IsPosted": "No", "InvoiceId": "", "Infolog": refused_by(refusal)})
        number = str(header.get("InvoiceId") or header.get("Invoice") or "")
        return _json({"IsPosted": "Yes", "InvoiceId": number, "Infolog": ""})

    async def blob(self, request: Request) -> Response:
        """The storage account beside the environment: the signature in the address is the permission."""
        name = str(request.path_params["name"])
        if "sig" not in request.query_params:
            return Response("<Error><Code>AuthenticationFailed</Code></Error>", 403, media_type="application/xml")
        if request.method == "PUT":
            if request.headers.get("x-ms-blob-type") != "BlockBlob":
                return Response("<Error><Code>MissingRequiredHeader</Code></Error>", 400, media_type="application/xml")
            self.jobs.blobs[name] = await request.body()
            return Response(status_code=201)
        if name not in self.jobs.blobs:
            return Response("<Error><Code>BlobNotFound</Code></Error>", 404, media_type="application/xml")
        return Response(self.jobs.blobs[name], media_type="application/octet-stream")


def _options(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.scope.get("query_string", b"").decode(), keep_blank_values=True))


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_float=Decimal)
    except ValueError as error:
        raise bad_request("The request body is not valid JSON.") from error


async def _body(request: Request) -> Any:
    return _parsed(await request.body())


def _json(document: Any, status: int = 200) -> Response:
    return Response(written(document), status, media_type=JSON)


def _answer(outcome: Outcome) -> Response:
    if outcome.body is None:
        return Response(status_code=outcome.status)
    return _json(outcome.body, outcome.status)


def _part(call: BatchCall, outcome: Outcome) -> BatchAnswer:
    body = b"" if outcome.body is None else written(outcome.body)
    headers = {"Content-Type": JSON} if body else {}
    return BatchAnswer(outcome.status, headers, body, call.content_id)
