"""Where each service of the account answers: routes, headers, who is let in, the limit of requests in flight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from deploy.sandbox.netsuite import catalog
from deploy.sandbox.netsuite.bodies import read_body
from deploy.sandbox.netsuite.errors import Refusal, invalid_content, invalid_login, too_many_at_once
from deploy.sandbox.netsuite.jobs import Jobs
from deploy.sandbox.netsuite.records import Outcome, RecordService, paged
from deploy.sandbox.netsuite.schema import RECORD_TYPES
from deploy.sandbox.netsuite.signatures import Asked, Signatures
from deploy.sandbox.netsuite.state import Account
from deploy.sandbox.netsuite.suiteql import answer
from deploy.sandbox.netsuite.suiteql_grammar import bad_query
from deploy.sandbox.netsuite.suiteql_tables import tables
from deploy.sandbox.netsuite.tokens import Door, TokenRefused

REST = "/services/rest"
JSON = "application/vnd.oracle.resource+json; type=singular"
LONGEST_RESULT = 100_000
Endpoint = Callable[[Request], Awaitable[Response]]


class Desk:
    """The account's front desk: everything that comes over the wire passes here."""

    def __init__(self, account: Account, door: Door, signatures: Signatures, *, at_once: int) -> None:
        """`at_once` requests may be in flight, `others` of them of other integrations; `delay` seconds go into each.

        `tells_limits`: our role may ask how many.
        """
        self.account = account
        self.door = door
        self.signatures = signatures
        self.jobs = Jobs()
        self.at_once = at_once
        self.others = 0
        self.tells_limits = True
        self.delay = 0.0
        self._records = RecordService(account)
        self._tables = tables(account)
        self._in_flight = 0

    def reset(self) -> None:
        """Forget all jobs and take the account's new books."""
        self.jobs = Jobs(self.jobs.polls)
        self._tables = tables(self.account)

    def delete_fields(self, names: Collection[str]) -> None:
        """An administrator deletes these custom fields; deleted ones not named any more are back."""
        self.account.delete_fields(names)
        self._tables = tables(self.account)

    def app(self) -> Starlette:
        """The account as an ASGI app, rooted where the vendor's host is."""
        verbs = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        one = f"{REST}/record/v1/{{record}}/{{key}}"
        routes: list[BaseRoute] = [
            Route(f"{REST}/auth/oauth2/v1/token", self.token, methods=["POST"]),
            Route(f"{REST}/query/v1/suiteql", self._guarded(self.suiteql), methods=["POST"]),
            Route(f"{REST}/system/v1/governanceLimits", self._guarded(self.limits), methods=["GET"]),
            Route(f"{REST}/async/v1/job/{{job}}", self._guarded(self.job), methods=["GET"]),
            Route(f"{REST}/async/v1/job/{{job}}/task/", self._guarded(self.tasks), methods=["GET"]),
            Route(f"{REST}/async/v1/job/{{job}}/task/{{task}}/result", self._guarded(self.result), methods=["GET"]),
            Route(f"{REST}/record/v1/metadata-catalog", self._guarded(self.catalog), methods=["GET"]),
            Route(f"{REST}/record/v1/metadata-catalog/{{record}}", self._guarded(self.schema), methods=["GET"]),
            Route(f"{REST}/record/v1/{{record}}", self._guarded(self.collection), methods=verbs),
            Route(one, self._guarded(self.record), methods=verbs),
            Route(f"{one}/!transform/{{target}}", self._guarded(self.transform), methods=["POST"]),
            Route(f"{one}/{{sublist}}", self._guarded(self.sublist), methods=["GET"]),
        ]
        return Starlette(routes=routes)

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def serve(request: Request) -> Response:
            if self._in_flight + self.others >= self.at_once:
                return too_many_at_once().response()
            self._in_flight += 1
            try:
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not self._admits(request):
                    raise invalid_login()
                if "respond-async" in request.headers.get("prefer", "") and request.method != "GET":
                    return await self._later(endpoint, request)
                return await endpoint(request)
            except Refusal as refusal:
                return refusal.response()
            finally:
                self._in_flight -= 1

        return serve

    def _admits(self, request: Request) -> bool:
        """A living bearer token, or a signature over what was asked with the host and scheme the client used."""
        authorization = request.headers.get("authorization", "")
        if not authorization.lower().startswith("oauth "):
            return self.door.admits(authorization)
        path: bytes = request.scope["raw_path"]
        address = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}{path.decode('latin-1')}"
        query: bytes = request.scope["query_string"]
        asked = Asked(request.method, address, query.decode("latin-1"), authorization)
        return self.signatures.refusal(asked) is None

    async def _later(self, endpoint: Endpoint, request: Request) -> Response:
        key, root = request.headers.get("x-netsuite-idempotency-key", ""), self._url(request, "/async/v1/job")
        if repeated := self.jobs.known(key, root):
            return repeated
        await request.body()

        async def act() -> Response:
            try:
                return await endpoint(request)
            except Refusal as refusal:
                return refusal.response()

        return await self.jobs.add(act, key, root)

    def _url(self, request: Request, tail: str) -> str:
        """Our own address as this client spells it."""
        host = request.headers.get("host", "localhost")
        return f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}{REST}{tail}"

    async def token(self, request: Request) -> Response:
        """A bearer token for a signed assertion."""
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            return JSONResponse(self.door.open(form, self._url(request, "/auth/oauth2/v1/token")))
        except TokenRefused as refused:
            return JSONResponse(refused.document, 400)

    async def suiteql(self, request: Request) -> Response:
        """One page of a query."""
        if "transient" not in request.headers.get("prefer", ""):
            raise Refusal(
                400, "INVALID_HEADER", "The required request header 'Prefer' is missing.", errorHeader="Prefer"
            )
        body = await _body(request)
        text = cast("dict[str, Any]", body).get("q") if isinstance(body, dict) else None
        if not isinstance(text, str):
            raise bad_query("Member q is missing.")
        rows = answer(self._tables, text)[:LONGEST_RESULT]
        return JSONResponse(paged(rows, request.query_params, self._url(request, "/query/v1/suiteql"), lambda row: row))

    async def collection(self, request: Request) -> Response:
        """Search or create."""
        name, root = str(request.path_params["record"]), self._url(request, "/record/v1")
        if request.method == "GET":
            return _sent(self._records.search(name, request.query_params, root), request)
        if request.method == "POST":
            return self._written(self._records.create(name, await self._known(request), root), request)
        return _not_allowed()

    async def record(self, request: Request) -> Response:
        """Read, change, upsert or delete."""
        name, key = str(request.path_params["record"]), str(request.path_params["key"])
        root, query = self._url(request, "/record/v1"), request.query_params
        if request.method == "GET":
            return _sent(self._records.read(name, key, query, root), request)
        if request.method == "DELETE":
            return _sent(self._records.delete(name, key), request)
        if request.method == "POST":
            return _not_allowed()
        write = self._records.amend if request.method == "PATCH" else self._records.upsert
        return self._written(write(name, key, await self._known(request), query, root), request)

    async def transform(self, request: Request) -> Response:
        """Make a record from another."""
        path, root = request.path_params, self._url(request, "/record/v1")
        body = await _body(request)
        return self._written(self._records.transform(path["record"], path["key"], path["target"], body, root), request)

    async def _known(self, request: Request) -> Any:
        """The body; with name validation at `error`, unknown names are refused before anything is written."""
        body: Any = await _body(request)
        if request.headers.get("x-netsuite-propertynamevalidation", "warning").lower() == "error":
            record = self.account.shape(str(request.path_params["record"]))
            given = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
            strange: list[str] = []
            read_body(self.account, record, given, strange)
            if strange:
                raise invalid_content(f"Unknown property {strange[0]}.", strange[0])
            return given
        return body

    def _written(self, outcome: Outcome, request: Request) -> Response:
        response = _sent(outcome, request)
        if outcome.dropped:
            response.headers["x-netsuite-propertynamevalidation"] = "warning; unknown: " + ",".join(outcome.dropped)
        return response

    async def sublist(self, request: Request) -> Response:
        """The lines of a record."""
        path = request.path_params
        root = self._url(request, "/record/v1")
        return _sent(self._records.read_sublist(path["record"], path["key"], path["sublist"], root), request)

    async def limits(self, request: Request) -> Response:
        """How much may be asked at once."""
        del request
        if not self.tells_limits:
            raise Refusal(403, "INSUFFICIENT_PERMISSION", "Your current role does not have permission to do this.")
        return JSONResponse(
            {"accountConcurrencyLimit": self.at_once, "accountUnallocatedConcurrencyLimit": self.at_once}
        )

    async def job(self, request: Request) -> Response:
        """How a job stands."""
        return JSONResponse(await self.jobs.show(request.path_params["job"], self._url(request, "/async/v1/job")))

    async def tasks(self, request: Request) -> Response:
        """What a job does."""
        return JSONResponse(self.jobs.tasks(request.path_params["job"], self._url(request, "/async/v1/job")))

    async def result(self, request: Request) -> Response:
        """What a job's request answered."""
        return self.jobs.result(request.path_params["job"])

    async def catalog(self, request: Request) -> Response:
        """Which records there are; as OpenAPI, where that is asked for, all of them or the selected ones."""
        if catalog.OPENAPI not in request.headers.get("accept", ""):
            return JSONResponse(catalog.listing(self._url(request, "/record/v1")))
        selected = request.query_params.get("select")
        records = [self.account.shape(name) for name in (selected.split(",") if selected else RECORD_TYPES)]
        return JSONResponse(catalog.openapi_of(records), media_type=catalog.OPENAPI)

    async def schema(self, request: Request) -> Response:
        """What a record looks like."""
        record = self.account.shape(request.path_params["record"])
        if catalog.OPENAPI in request.headers.get("accept", ""):
            return JSONResponse(catalog.openapi_of([record]), media_type=catalog.OPENAPI)
        return JSONResponse(catalog.schema_of(record), media_type=catalog.JSON_SCHEMA)


async def _body(request: Request) -> Any:
    raw = await request.body()
    try:
        return json.loads(raw, parse_float=Decimal) if raw.strip() else {}
    except ValueError as error:
        raise invalid_content("The request body is not valid JSON.", "") from error


def _sent(outcome: Outcome, request: Request) -> Response:
    del request
    headers = {"location": outcome.location} if outcome.location else {}
    if outcome.body is None:
        return Response(status_code=outcome.status, headers=headers)
    return JSONResponse(outcome.body, outcome.status, headers, JSON)


def _not_allowed() -> Response:
    return Refusal(405, "METHOD_NOT_ALLOWED", "The method is not supported for this resource.").response()
