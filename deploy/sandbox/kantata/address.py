"""Which path does what: the vendor's addresses mapped to acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from deploy.sandbox.kantata import custom_fields, invoicing, projects, work
from deploy.sandbox.kantata.errors import Refusal, bad_request, forbidden, missing, not_found, rate_limited
from deploy.sandbox.kantata.events import Events
from deploy.sandbox.kantata.filters import selected, truth, window
from deploy.sandbox.kantata.rendering import asked_includes, envelope
from deploy.sandbox.kantata.schema import BY_SUBJECT, COLLECTIONS
from deploy.sandbox.kantata.state import Row, Store
from deploy.sandbox.kantata.wire import answer, body, permission, query, refused, roots

CODE_SECONDS = 300
_FINANCIAL = frozenset({"invoices", "billing_milestones", "external_payments", "account_invitations"})
_CREATE: Mapping[str, Callable[[Store, Row], Row]] = {
    "workspaces": projects.create_workspace,
    "stories": projects.create_story,
    "participations": projects.create_participation,
    "workspace_resources": projects.create_resource,
    "roles": projects.create_role,
    "account_invitations": projects.invite,
    "custom_field_sets": custom_fields.create_set,
    "custom_fields": custom_fields.create_field,
    "custom_field_values": custom_fields.create_value,
    "time_entries": work.create_entry,
    "expenses": work.create_expense,
    "timesheet_submissions": lambda store, given: work.submit(store, "timesheet_submissions", given),
    "expense_report_submissions": lambda store, given: work.submit(store, "expense_report_submissions", given),
    "billing_milestones": invoicing.create_milestone,
    "invoices": invoicing.create_invoice,
    "external_payments": invoicing.pay,
}
_AMEND: Mapping[str, Callable[[Store, Row, Row], Row]] = {
    "workspaces": projects.amend_workspace,
    "stories": projects.amend_story,
    "users": projects.amend_user,
    "time_entries": work.amend_entry,
    "expenses": work.amend_expense,
    "billing_milestones": invoicing.amend_milestone,
    "invoices": invoicing.amend_invoice,
}
_DELETE: Mapping[str, Callable[[Store, Row], None]] = {
    "time_entries": lambda store, row: work.delete_line(store, "time_entries", row),
    "expenses": lambda store, row: work.delete_line(store, "expenses", row),
    "invoices": invoicing.delete_invoice,
    "external_references": lambda store, row: store.delete("external_references", row),
    "custom_fields": custom_fields.delete_field,
    "custom_field_values": custom_fields.forget_value,
}
_RESOLVE = {
    "timesheet_approvals": ("timesheet_submissions", "approved"),
    "timesheet_rejections": ("timesheet_submissions", "rejected"),
    "timesheet_cancellations": ("timesheet_submissions", "cancelled"),
    "expense_report_approvals": ("expense_report_submissions", "approved"),
    "expense_report_rejections": ("expense_report_submissions", "rejected"),
    "expense_report_cancellations": ("expense_report_submissions", "cancelled"),
}
_SUBMISSION_ACTS = {"cancel": "cancelled", "reject": "rejected"}


class Addresses:
    """The vendor's address space over one store."""

    def __init__(self, store: Store) -> None:
        """Answers of lists are remembered until the store changes, so that further pages cost little."""
        self._store = store
        self._events = Events(store)
        self._lists: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = {}
        self._lists_version = -1
        self._second = 0
        self._asked = 0

    async def api(self, request: Request) -> Response:
        """Everything under /api/v1/."""
        try:
            level = permission(self._store, request)
            self._admit()
            parts = request.path_params["path"].removesuffix("/").removesuffix(".json").split("/")
            if level != "administrator" and (
                parts[0] == "subscribed_events" or (parts[0] in _FINANCIAL and request.method != "GET")
            ):
                raise forbidden()
            return await self._serve(request, parts)
        except Refusal as refusal:
            return refused(refusal)

    def _admit(self) -> None:
        limit = self._store.switches.requests_per_second
        second = self._store.now()
        if second != self._second:
            self._second, self._asked = second, 0
        self._asked += 1
        if limit and self._asked > limit:
            raise rate_limited()

    async def _serve(self, request: Request, parts: list[str]) -> Response:
        name, rest = parts[0], parts[1:]
        if name == "subscribed_events" and request.method == "GET":
            return answer(self._events.answer(query(request), rest))
        if name in _RESOLVE and request.method == "POST":
            return await self._resolve(request, name)
        if name not in COLLECTIONS:
            raise not_found()
        if request.method == "GET" and len(rest) <= 1:
            return self._one(name, rest[0], query(request)) if rest else self._list(name, query(request))
        if request.method == "POST":
            return await self._post(request, name, rest)
        if request.method == "PUT" and rest:
            return await self._put(request, name, rest)
        return self._delete(name, rest, query(request))

    async def _resolve(self, request: Request, name: str) -> Response:
        given: Any = (await body(request)).get("resolution")
        if not isinstance(given, dict):
            raise missing("resolution")
        target, status = _RESOLVE[name]
        return self._answer("resolutions", work.resolve(self._store, target, cast("Row", given), status), "")

    def _answer(self, name: str, rows: list[Row], include: str, paging: tuple[int, int, int] | None = None) -> Response:
        return answer(envelope(self._store, name, rows, asked_includes(COLLECTIONS[name], include), paging))

    def _list(self, name: str, asked: dict[str, str]) -> Response:
        if name == "custom_field_values" and "subject_type" not in asked:
            raise bad_request("subject_type is required")
        if self._lists_version != self._store.version:
            self._lists.clear()
            self._lists_version = self._store.version
        paging = {"page", "per_page", "limit", "offset", "include"}
        key = (name, tuple(sorted((k, v) for k, v in asked.items() if k not in paging)))
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = selected(self._store, name, asked)
        first, size, number = window(asked)
        rows = [self._store.table(name)[row_id] for row_id in found[first : first + size]]
        return self._answer(name, rows, asked.get("include", ""), (len(found), number, size))

    def _one(self, name: str, number: str, asked: dict[str, str]) -> Response:
        if (name, number) == ("invoices", "next_invoice_number"):
            return answer({"next_invoice_number": str(invoicing.next_number(self._store))})
        if not number.isdigit():
            raise not_found()
        shown = {"on_my_account": "true"} if name == "users" else {}
        found = selected(self._store, name, {**shown, **asked, "only": number})
        if not found:
            raise not_found()
        return self._answer(name, [self._store.table(name)[found[0]]], asked.get("include", ""))

    async def _post(self, request: Request, name: str, rest: list[str]) -> Response:
        document = await body(request)
        include = query(request).get("include", "")
        if name == "external_references" and rest == ["create_or_update"]:
            given, _ = roots(document, name)
            return self._answer(name, [self._refer(one) for one in given], include)
        if rest or name not in _CREATE:
            raise not_found()
        given, _ = roots(document, name)
        return self._answer(name, self._all_or_nothing(name, given), include)

    def _all_or_nothing(self, name: str, given: list[Row]) -> list[Row]:
        rows: list[Row] = []
        try:
            for one in given:
                rows.append(_CREATE[name](self._store, one))  # noqa: PERF401 - what was made must be known when one fails
        except Refusal:
            for row in rows:
                self._store.delete(name, row)
            raise
        return rows

    def _refer(self, given: Row) -> Row:
        name = BY_SUBJECT.get(str(given.get("subject_type")))
        if name is None:
            raise missing("subject_type")
        self._store.check_reference(given)
        return self._store.refer(name, self._store.get(name, given.get("subject_id"), "subject_id"), given)

    async def _put(self, request: Request, name: str, rest: list[str]) -> Response:
        row = self._store.get(name, rest[0])
        include = query(request).get("include", "")
        if rest[1:]:
            if name in work.LINES and rest[1] in _SUBMISSION_ACTS:
                row = work.settle(self._store, name, row, _SUBMISSION_ACTS[rest[1]])
            elif (name, rest[1]) == ("invoices", "cancel"):
                row = invoicing.cancel_invoice(self._store, row)
            else:
                raise not_found()
            return self._answer(name, [row], include)
        if name not in _AMEND:
            raise not_found()
        given, _ = roots(await body(request), name)
        return self._answer(name, [_AMEND[name](self._store, row, given[0])], include)

    def _delete(self, name: str, rest: list[str], asked: dict[str, str]) -> Response:
        if name not in _DELETE:
            raise not_found()
        numbers = rest or [part for part in asked.get("ids", "").split(",") if part]
        if not numbers:
            raise missing("ids")
        rows = [self._store.get(name, number) for number in numbers]
        if name in {"time_entries", "expenses"}:
            for row in rows:
                work.still_open(row)
        for row in rows:
            _DELETE[name](self._store, row)
        return Response(status_code=204)

    # --- authorization ---------------------------------------------------------------------------------------------
    async def authorize(self, request: Request) -> Response:
        """GET /oauth/authorize: the person at the sandbox always agrees, unless `deny=true`."""
        asked = query(request)
        target = asked.get("redirect_uri", "")
        if asked.get("response_type") != "code" or not asked.get("client_id") or not target:
            return refused(bad_request("response_type, client_id and redirect_uri are needed"))
        if truth(asked.get("deny", "")):
            told = {"error": "access_denied", "error_description": "The resource owner denied the request."}
        else:
            code = self._store.code(CODE_SECONDS)
            told = {"code": code}
        if state := asked.get("state"):
            told["state"] = state
        return RedirectResponse(f"{target}{'&' if '?' in target else '?'}{urlencode(told)}", 302)

    async def token(self, request: Request) -> Response:
        """POST /oauth/token: a code, good once and for five minutes, becomes a token that never expires."""
        content = await request.body()
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        try:
            given = dict(parse_qsl(content.decode())) if is_form else await body(request)
        except Refusal as refusal:
            return refused(refusal)
        until = self._store.codes.pop(str(given.get("code")), 0.0)
        if given.get("grant_type") != "authorization_code" or not given.get("client_secret"):
            return answer({"error": "invalid_request"}, 400)
        if until < self._store.moment():
            return answer({"error": "invalid_grant"}, 401)
        return answer({"access_token": self._store.issue(), "token_type": "bearer"})
