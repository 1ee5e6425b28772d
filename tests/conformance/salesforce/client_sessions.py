"""Where a client that others wrote is led when it means the platform's hosts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from tests.conformance.served import Sandbox


class _ToSandbox(HTTPAdapter):
    """Sends what is meant for the vendor's hosts to the simulator."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base = urlsplit(base_url)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        wanted = urlsplit(request.url)
        root = "" if wanted.netloc == self._base.netloc else self._base.path
        request.url = urlunsplit(("http", self._base.netloc, root + wanted.path, wanted.query, ""))
        return super().send(request, *args, **kwargs)


def session_to(sandbox: Sandbox) -> requests.Session:
    """A session all of whose calls go to the simulator."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _ToSandbox(sandbox.base_url))
    return session
