"""Certinia's wire: the platform's under our name, the package's action, and what the org says of its own jobs."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from shared.errors.taxonomy import DeadlineExceeded, OutcomeUnknown, VendorRejected
from system_apis.connectors.certinia.payloads import CLIENT_NAME, JobPayload
from system_apis.dialects.salesforce.login import session_of
from system_apis.dialects.salesforce.soql import columns, soql_text
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.fields import FieldMap
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_DONE, _RUNNING = "Completed", frozenset({"Holding", "Queued", "Preparing", "Processing"})


def open_wire(binding: Binding, manifest: Manifest, fields: FieldMap) -> SalesforceWire:
    """The org of a binding. Raises Misconfigured naming a missing setting or secret."""
    return SalesforceWire(binding, manifest, session_of(binding), client_name=CLIENT_NAME, fields=fields)


async def made_of_template(wire: SalesforceWire, action: str, inputs: dict[str, Any]) -> tuple[str, str | None]:
    """The project that the package's action made and the job that still copies into it.

    A successful call may tell in its outputs that nothing was made. Raises VendorRejected with that reason.
    """
    outputs = await wire.act(action, inputs)
    if told := outputs.get("ErrorString"):
        raise VendorRejected(f"{wire.system}: no project of the template: {str(told)[:300]}")
    project = outputs.get("NewProjectId")
    if not isinstance(project, str):
        raise OutcomeUnknown(f"{wire.system} did not say which project it made of the template.")
    job = outputs.get("QueuedJobId")
    return project, job if isinstance(job, str) else None


async def copied(wire: SalesforceWire, job_id: str, patience: float) -> None:
    """Wait until a queued copy is done.

    Raises DeadlineExceeded when it still runs after so many seconds (the project stands half-made and is found again),
    VendorRejected when it has failed.
    """
    head = f"SELECT {columns(JobPayload)} FROM AsyncApexJob WHERE Id = {soql_text(job_id)}"
    until, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        jobs = await wire.rows(head, JobPayload)
        if not jobs:
            return  # the org keeps jobs for some days only: what has been forgotten ended long ago
        job = jobs[0]
        if job.status == _DONE and not job.errors:
            return
        if job.status not in _RUNNING:
            told = (job.told or "no reason given")[:300]
            raise VendorRejected(f"{wire.system}: the copy from the template ended {job.status}: {told}")
        if time.monotonic() + pause > until:
            raise DeadlineExceeded(f"{wire.system} is still copying the template (job {job_id}); the project is there.")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
