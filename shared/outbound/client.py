"""Outbound: one connection to a vendor or an inner tier; answers or errors of our tree come out, nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
from opentelemetry.trace import SpanKind

from shared.errors.taxonomy import (
    CredentialsRefused,
    DeadlineExceeded,
    Defect,
    Misconfigured,
    OutcomeUnknown,
    PlatformError,
    TimeRanOut,
    VendorDrift,
    VendorThrottled,
    VendorUnavailable,
)
from shared.outbound.address import within
from shared.outbound.answer import Answer, AnsweredPart, Parts
from shared.outbound.auth import AuthFlow, Renewals, RequestSigner
from shared.outbound.body import Params, as_json, as_params
from shared.outbound.bounded import AnswerTooLarge, answered
from shared.outbound.breaker import Breaker
from shared.outbound.budget import Budget, BudgetFacts
from shared.outbound.errors import SESSION_EXPIRED, ErrorRow, ErrorTable, Reading
from shared.outbound.retry import RetryPolicy, retry_after
from shared.outbound.trust import trusted
from shared.telemetry.context import correlation_id, seconds_left, traceparent
from shared.telemetry.logging import get_logger
from shared.telemetry.metrics import counter, histogram
from shared.telemetry.tracing import span

_requests = counter("throughline_outbound_requests_total", ["system", "outcome"], "Sends by what came of them.")
_seconds = histogram("throughline_outbound_request_seconds", ["system"], "Time from send to answer.")
_log = get_logger("throughline.outbound")

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_DOWN = frozenset({502, 503, 504})
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})
_WAITED_FOR = (VendorUnavailable, VendorThrottled)
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 2.0  # shorter than any server's own: a write must not meet a connection that is just being closed


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes | None
    form: Mapping[str, str] | None = None
    is_write: bool = False
    is_repeatable: bool = False
    parts: Parts | None = None


def _with_type(headers: Mapping[str, str] | None, *, has_json: bool) -> dict[str, str]:
    return {**({"Content-Type": "application/json"} if has_json else {}), **(headers or {})}


class _Failed(Exception):
    """One send failed: the error it ends in unless asked `again`; `was_sent`: the system may have acted."""

    def __init__(self, error: PlatformError, *, again: bool, was_sent: bool = False, expired: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.was_sent = was_sent
        self.expired = expired


class Outbound:
    """One connection to a system.

    `errors` is the manifest's error table, `budget` its budget; `read_body_code` finds the vendor's code, or
    (code, message), in the JSON of an error answer. Without them statuses are read as HTTP defines them, and
    problem documents of inner tiers become the errors they name.
    """

    def __init__(  # noqa: PLR0913 - keywords only, each a fact of the connection
        self,
        *,
        system: str,
        base_url: str,
        auth: AuthFlow | RequestSigner | None = None,
        errors: Sequence[ErrorRow] = (),
        budget: BudgetFacts | None = None,
        timeout: float = 30.0,
        read_body_code: Callable[[Any], str | tuple[str | None, str | None] | None] | None = None,
        retry: RetryPolicy | None = None,
        breaker: Breaker | None = None,
        headers: Mapping[str, str] | None = None,
        is_inner: bool = False,
        owner: str = "",
        heard: Callable[[PlatformError, Mapping[str, str]], None] | None = None,
    ) -> None:
        """`is_inner`: a tier of ours, which is told how long the caller still waits; vendors are not.

        `owner`: the tenant whose budget for the system is shared with all replicas; needed with a budget.
        `heard` is told of every refusal, with the answer's headers, before it is raised or asked again.
        """
        if budget and not owner:
            raise ValueError(f"the budget for {system} is nobody's: name its owner")
        self.system = system
        self._is_inner = is_inner
        self.base_url = base_url
        self._signer = auth if isinstance(auth, RequestSigner) else None
        self._auth = None if isinstance(auth, RequestSigner) else auth
        self._renewals = Renewals(self._auth) if self._auth else None
        self._table = ErrorTable(system, errors, read_body_code)
        self._budget = Budget(budget, system=system, owner=owner, lease=timeout * 2) if budget else None
        self._heard = heard
        self._retry = retry or RetryPolicy()
        self._breaker = breaker or Breaker(system)
        self._timeout = timeout
        at_once = budget.at_once if budget else 100
        self._client = httpx.AsyncClient(
            verify=trusted(),
            trust_env=False,
            http2=False,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout)),
            limits=httpx.Limits(
                max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=_IDLE_SECONDS
            ),
            headers={"User-Agent": "throughline", "Accept": "application/json", **(headers or {})},
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def read(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        parts: Parts | None = None,
    ) -> Answer:
        """Ask without changing anything: repeated on cuts, 5xx and throttling within the retry policy.

        `parts` reads a multipart answer: the first part that is refused counts as the answer to the whole, so that it
        is waited for, renewed or raised as if it had come alone.
        """
        return await self._ask(
            _Request(
                method=method.upper(),
                url=self._url(path, params),
                headers=_with_type(headers, has_json=json is not None),
                content=content if json is None else as_json(json),
                parts=parts,
            )
        )

    async def write(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        form: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Answer:
        """Change something. Repeated only while surely nothing was written, or when `repeatable` by nature.

        Raises OutcomeUnknown when it was sent and no readable or vouching answer came.
        """
        body = content.encode() if isinstance(content, str) else content
        return await self._ask(
            _Request(
                method=method.upper(),
                url=self._url(path, params),
                headers=_with_type(headers, has_json=json is not None),
                content=body if json is None else as_json(json),
                form=form,
                is_write=True,
                is_repeatable=repeatable,
            )
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def error_of(self, status: int, body: Any, *, is_write: bool = False) -> PlatformError | None:
        """The error of a part of a batch answer that carries its own status and body; None when it is none."""
        reading = self._table.read(status, {}, as_json(body))
        return None if reading is None else self._table.error(reading, is_write=is_write)

    def _url(self, path: str, params: Params | None) -> httpx.URL:
        try:
            url = httpx.URL(within(self.base_url, path, self.system))
        except httpx.InvalidURL as error:
            raise Misconfigured(f"The address of {self.system} is not usable.", detail=str(error)) from error
        return url.copy_merge_params(as_params(params)) if params else url

    async def _ask(self, request: _Request) -> Answer:
        attributes = {"http.request.method": request.method, "throughline.system": self.system}
        with span(f"{self.system} {request.method}", kind=SpanKind.CLIENT, attributes=attributes):
            return await self._until_answered(request)

    async def _until_answered(self, request: _Request) -> Answer:
        deadline = time.monotonic() + self._retry.total
        left = seconds_left()
        if left is not None:
            deadline = min(deadline, time.monotonic() + left)
        may_have_acted = was_renewed = False
        attempt = 0
        while True:
            attempt += 1
            generation = self._renewals.generation if self._renewals else 0
            try:
                return await self._send(request, deadline)
            except _Failed as failure:
                may_have_acted = may_have_acted or failure.was_sent
                _requests.labels(self.system, SESSION_EXPIRED if failure.expired else failure.error.code).inc()
                error = failure.error
                if failure.expired and self._renewals and not was_renewed:
                    was_renewed = True
                    attempt -= 1
                    await self._renewals.renew(generation)
                    continue
                pause = self._retry.pause(attempt, error.retry_after)
                is_last = attempt >= self._retry.attempts or time.monotonic() + pause >= deadline
                if not failure.again or is_last:
                    raise self._final(request, error, may_have_acted=may_have_acted) from error.__cause__
            _log.info("asked_again", system=self.system, attempt=attempt, code=error.code, pause=round(pause, 3))
            await asyncio.sleep(pause)

    def _final(self, request: _Request, error: PlatformError, *, may_have_acted: bool) -> PlatformError:
        if request.is_write and may_have_acted and isinstance(error, _WAITED_FOR):
            return OutcomeUnknown(
                f"{self.system} did not say whether the change was made.",
                detail=error.detail or error.message,
                extra=error.extra,
            )
        return error

    async def _send(self, request: _Request, deadline: float) -> Answer:
        async with AsyncExitStack() as held:
            try:
                if (left := seconds_left()) is not None and left <= 0:
                    raise _Failed(TimeRanOut(detail=f"before {self.system} was asked"), again=False)
                self._breaker.admit()
                if self._budget:
                    await held.enter_async_context(self._budget.place(deadline))
                headers = {**request.headers, **await self._carried(request)}
            except _WAITED_FOR as error:
                raise _Failed(error, again=False) from error
            started = time.monotonic()
            left = seconds_left()
            try:
                async with asyncio.timeout(self._timeout if left is None else min(self._timeout, left)):
                    wanted = self._client.build_request(
                        request.method,
                        request.url,
                        headers=headers,
                        content=request.content,
                        data=dict(request.form) if request.form is not None else None,
                    )
                    response = await answered(self._client, wanted)
            except AnswerTooLarge as error:
                self._breaker.failed()
                raise self._endless(request) from error
            except httpx.UnsupportedProtocol as error:
                raise Misconfigured(f"The address of {self.system} is not usable.", detail=str(error)) from error
            except httpx.LocalProtocolError as error:
                raise Defect(detail=f"request to {self.system} is malformed: {error}") from error
            except (httpx.RequestError, TimeoutError) as error:
                if isinstance(error, TimeoutError) and left is not None and left < self._timeout:
                    raise self._too_late(request) from error  # our caller's patience ended: no fault of the system's
                self._breaker.failed()
                raise self._unanswered(request, error) from error
            _seconds.labels(self.system).observe(time.monotonic() - started)
        return self._judged(request, response)

    async def _carried(self, request: _Request) -> dict[str, str]:
        carried = await self._auth.headers() if self._auth else {}
        if self._signer:
            carried = self._signer.sign(request.method, request.url)
        parent, correlation = traceparent.get(), correlation_id.get()
        if parent:
            carried = {**carried, "traceparent": parent}
        if correlation:
            carried = {**carried, "X-Correlation-Id": correlation}
        if self._is_inner and (left := seconds_left()) is not None:
            carried = {**carried, "X-Request-Deadline": str(max(0, int(left * 1000)))}
        return carried

    def _too_late(self, request: _Request) -> _Failed:
        kind = DeadlineExceeded if request.is_write else TimeRanOut
        return _Failed(kind(detail=f"while {self.system} was asked"), again=False, was_sent=True)

    def _unanswered(self, request: _Request, cause: Exception) -> _Failed:
        extra = {"system": self.system}
        what = f"{request.method} ended in {type(cause).__name__}"
        if isinstance(cause, _NOTHING_SENT) or not request.is_write:
            return _Failed(VendorUnavailable(f"{self.system} cannot be reached.", detail=what, extra=extra), again=True)
        if request.is_repeatable:
            unavailable = VendorUnavailable(f"{self.system} did not answer.", detail=what, extra=extra)
            return _Failed(unavailable, again=True, was_sent=True)
        unknown = OutcomeUnknown(f"{self.system} did not say whether the change was made.", detail=what, extra=extra)
        return _Failed(unknown, again=False, was_sent=True)

    def _endless(self, request: _Request) -> _Failed:
        told = f"{self.system} answered more than can be read."
        kind = OutcomeUnknown if request.is_write else VendorDrift
        return _Failed(kind(told, extra={"system": self.system}), again=False, was_sent=True)

    def _judged(self, request: _Request, response: httpx.Response) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        status, content = response.status_code, response.content
        answer = Answer(status, headers, content, self.system, request.is_write)
        if request.parts and headers.get("content-type", "").startswith("multipart/"):
            response = self._first_refused(request.parts(answer)) or response
        reading = self._table.read(response.status_code, headers, response.content)
        if reading is None:
            self._breaker.succeeded()
            if status in _ELSEWHERE:
                moved = VendorDrift(f"{self.system} points elsewhere ({status}).", extra={"system": self.system})
                raise _Failed(moved, again=False)
            _requests.labels(self.system, "ok").inc()
            return answer
        is_down = reading.means == "vendor_unavailable" and reading.problem is None
        if is_down and (reading.vouches or response.status_code in _DOWN):
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        failure = self._refusal(request, reading, response)
        if self._heard:
            self._heard(failure.error, headers)
        raise failure

    def _first_refused(self, parts: Iterable[AnsweredPart]) -> httpx.Response | None:
        """The first part that the error table takes for a failure, as if it had been answered alone."""
        for part in parts:
            content = as_json(part.body)
            if self._table.read(part.status, part.headers, content):
                wait = {name: value for name, value in part.headers.items() if name == "retry-after"}
                return httpx.Response(part.status, headers=wait, content=content)
        return None

    def _refusal(self, request: _Request, reading: Reading, response: httpx.Response) -> _Failed:
        wait = retry_after(response.headers.get("retry-after"))
        detail = f"{request.method} answered {response.status_code}: {response.text}"
        is_unknown = request.is_write and not reading.vouches
        if is_unknown and request.is_repeatable:
            error: PlatformError = VendorUnavailable(
                f"{self.system} did not do it ({response.status_code}).", detail=detail[:500], retry_after=wait
            )
            return _Failed(error, again=True, was_sent=True)
        error = self._table.error(reading, is_write=request.is_write, retry_after=wait, detail=detail)
        if is_unknown:
            return _Failed(error, again=False, was_sent=True)
        if reading.problem is not None and error.retry_after is None:
            error.retry_after = wait
        if reading.means == "vendor_throttled" and wait and self._budget:
            self._budget.rest(wait)
        if reading.means == SESSION_EXPIRED:
            if not isinstance(error, CredentialsRefused):
                error = CredentialsRefused(f"{self.system} does not accept our token.", detail=error.message)
            return _Failed(error, again=False, expired=True)
        again = reading.means == "vendor_throttled" or (
            reading.means == "vendor_unavailable" and reading.problem is None
        )
        return _Failed(error, again=again)
