"""How the tenant refuses: the gateway's error bodies of OData 2 and 4, the CSRF answer, the limit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.responses import Response

JSON = "application/json;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Detail:
    """One line of `errordetails`."""

    code: str
    message: str
    target: str = ""
    severity: str = "error"


@dataclass
class Refusal(Exception):
    """An answer of 400 and more; `code` is message class and number."""

    status: int
    code: str
    message: str
    target: str = ""
    details: Sequence[Detail] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def document(self, service: str, version: int) -> dict[str, Any]:
        """The body as the gateway of that OData version writes it."""
        details = list(self.details) or [Detail(self.code, self.message, self.target)]
        if version == 4:  # noqa: PLR2004 - the version
            listed = [
                {"code": d.code, "message": d.message, "target": d.target, "@SAP__common.numericSeverity": 4}
                for d in details
            ]
            return {"error": {"code": self.code, "message": self.message, "target": self.target, "details": listed}}
        return {
            "error": {
                "code": self.code,
                "message": {"lang": "en", "value": self.message},
                "innererror": {
                    "application": {
                        "component_id": "",
                        "service_namespace": "/SAP/",
                        "service_id": service,
                        "service_version": "0001",
                    },
                    "transactionid": uuid4().hex.upper(),
                    "timestamp": f"{datetime.now(UTC):%Y%m%d%H%M%S.%f}0",
                    "errordetails": [
                        {
                            "ContentID": "",
                            "code": d.code,
                            "message": d.message,
                            "propertyref": d.target,
                            "severity": d.severity,
                            "transition": False,
                            "target": d.target,
                        }
                        for d in details
                    ],
                },
            }
        }

    def response(self, service: str = "", version: int = 2) -> Response:
        """The answer on the wire."""
        body = json.dumps(self.document(service, version))
        return Response(body, self.status, {"content-type": JSON, "dataserviceversion": "1.0", **self.headers})


def invalid(code: str, message: str, target: str = "") -> Refusal:
    """A business rule or a value stands against it."""
    return Refusal(400, code, message, target)


def not_found(what: str) -> Refusal:
    """No such resource."""
    return Refusal(404, "/IWBEP/CM_MGW_RT/020", f"Resource not found for the segment '{what}'")


def unknown_property(name: str, kind: str) -> Refusal:
    """A field that the entity does not have."""
    return Refusal(400, "005056A509B11ED1B9BF9F46AC8389D8", f"Property '{name}' is invalid for '{kind}'", name)


def not_allowed(what: str) -> Refusal:
    """The set does not take this method."""
    return Refusal(405, "/IWFND/CM_MGW/131", f"Method not allowed for {what}")


def precondition_required() -> Refusal:
    """If-Match is missing."""
    return Refusal(428, "/IWFND/CM_MGW_RT/071", "Data update requires a condition: header If-Match is missing")


def precondition_failed() -> Refusal:
    """If-Match names another version."""
    return Refusal(412, "/IWFND/CM_MGW_RT/051", "Precondition failed: the resource was changed in the meantime")


def csrf_failed() -> Response:
    """The token is missing, old, or not that of the session."""
    headers = {"content-type": "text/plain;charset=utf-8", "x-csrf-token": "Required"}
    return Response("CSRF token validation failed", 403, headers)


def unauthorized() -> Response:
    """Whoever asks is not known here."""
    headers = {
        "content-type": "text/html;charset=utf-8",
        "www-authenticate": 'Basic realm="SAP NetWeaver Application Server [S4H/100][alias]"',
    }
    return Response("<html><head><title>401 Unauthorized</title></head></html>", 401, headers)


def too_many() -> Response:
    """Patience is asked for; SAP publishes neither a limit nor a waiting time."""
    return Refusal(429, "/IWFND/CM_LIMIT/001", "Too many requests; try again later").response()
