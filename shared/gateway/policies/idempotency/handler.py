"""Idempotency: the second of two equal requests gets the first one's answer; speaks to the store only."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256

from shared.errors.taxonomy import FieldFinding, KeyReusedDifferently, MalformedRequest, PlatformError, StillRunning
from shared.gateway.kit import Kit
from shared.gateway.policies.idempotency.config import Idempotency
from shared.gateway.supplies import IdempotencyStore
from shared.persistence.kept_answers import KeptAnswer, RequestKey

_LONGEST_KEY = 255
_VISIBLE = re.compile(r"[!-~]+").fullmatch
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"').fullmatch
_FIRST_BAD_STATUS = 400
_RENEWALS_PER_CLAIM = 3
_NOT_KEPT = frozenset({b"x-correlation-id", b"date", b"server", b"ratelimit", b"ratelimit-policy"})


def _refuse(reason: str) -> MalformedRequest:
    return MalformedRequest(reason, findings=[FieldFinding("header.idempotency-key", reason)])


def read_key(given: bytes) -> str:
    """The key, quoted (a structured-field string) or bare.

    Raises: MalformedRequest.
    """
    key = given.decode("latin-1").strip()
    if key.startswith('"'):
        quoted = _QUOTED(key)
        if quoted is None:
            raise _refuse("The Idempotency-Key begins with a quotation mark and is no structured-field string.")
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not key:
        raise _refuse("The Idempotency-Key is empty.")
    if len(key) > _LONGEST_KEY:
        raise _refuse(f"The Idempotency-Key is longer than {_LONGEST_KEY} characters.")
    if not _VISIBLE(key):
        raise _refuse("The Idempotency-Key holds characters other than visible ASCII.")
    return key


class IdempotencyHandler:
    """Claims the key before the work, keeps the answer after it.

    Only answers that tell of something done (below 400) are kept. A refusal or failure gives the key back: a kept 4xx
    would lock the caller out of its own key after correcting what was wrong outside the body (a right, a mapping, a
    state); a kept 5xx would repeat a trouble that is over. An answer with unknown effect (504) gives it back too:
    asking again under the same key is how a caller finds out, and what lies behind the gate recognises the repeat by
    the same reference. When the deadline passes while an answer is being kept, the keeping goes on.
    """

    def __init__(self, config: Idempotency, store: IdempotencyStore, operation: str) -> None:
        self._config = config
        self._store = store
        self._operation = operation
        self._claim = timedelta(seconds=config.claim_seconds)
        self._keep = timedelta(hours=config.keep_hours)
        self._keeping: set[asyncio.Future[None]] = set()

    async def enter(self, kit: Kit) -> None:
        """Answer from memory, refuse, or let the request through with its claim."""
        given = kit.header(b"idempotency-key")
        if given is None:
            if self._config.required:
                raise _refuse("This operation needs an Idempotency-Key header.")
            return
        if sum(name == b"idempotency-key" for name, _ in kit.scope["headers"]) > 1:
            raise _refuse("The Idempotency-Key header is there more than once.")
        principal = kit.principal
        key = RequestKey(
            tenant=principal.tenant if principal else "",
            client_id=principal.client_id if principal else kit.address,
            operation=self._operation,
            key=read_key(given),
        )
        claim = await self._store.claim(key, await self._fingerprint(kit), claim=self._claim)
        if claim.fingerprint_differs:
            reason = "This Idempotency-Key was used for a different request."
            raise KeyReusedDifferently(findings=[FieldFinding("header.idempotency-key", reason)])
        if claim.answer is not None:
            replayed = (b"idempotency-replayed", b"true")
            kit.answer = KeptAnswer(claim.answer.status, [*claim.answer.headers, replayed], claim.answer.body)
            return
        if claim.ticket is None:
            raise StillRunning(retry_after=1)
        self._remember(kit, key, claim.ticket)

    def _remember(self, kit: Kit, key: RequestKey, ticket: str) -> None:
        holding = asyncio.create_task(self._hold(key, ticket))

        async def keep(answer: KeptAnswer) -> None:
            holding.cancel()
            if answer.status >= _FIRST_BAD_STATUS:
                await self._store.release(key, ticket)
                return
            headers = [(name, value) for name, value in answer.headers if name not in _NOT_KEPT]
            kept = KeptAnswer(answer.status, headers, answer.body)
            keeping = asyncio.ensure_future(self._store.complete(key, ticket, kept, keep=self._keep))
            self._keeping.add(keeping)
            keeping.add_done_callback(self._kept)
            await asyncio.shield(keeping)

        async def give_back() -> None:
            holding.cancel()
            await self._store.release(key, ticket)

        kit.on_answer = keep
        kit.on_failure = give_back

    def _kept(self, keeping: asyncio.Future[None]) -> None:
        self._keeping.discard(keeping)
        if not keeping.cancelled():
            keeping.exception()  # told to whoever still waits; else the claim ends by itself

    async def _hold(self, key: RequestKey, ticket: str) -> None:
        """Renew the claim while the work goes on; it ends by itself when the process dies."""
        while True:
            await asyncio.sleep(self._claim.total_seconds() / _RENEWALS_PER_CLAIM)
            with suppress(PlatformError):
                await self._store.renew(key, ticket, claim=self._claim)

    async def _fingerprint(self, kit: Kit) -> bytes:
        digest = sha256(kit.method.encode())
        principal = kit.principal
        for part in (kit.path.encode(), kit.query, (principal.subject if principal else "").encode(), await kit.body()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.digest()
