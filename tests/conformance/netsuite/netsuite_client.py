"""The public client `netsuite`, driven line by line; runs in an environment of its own, where nothing of ours is.

Every line of the input is a call, every line of the output its answer, both JSON. The client is as its makers left it:
only `_make_url`, the place they leave for it, says another host. A wrong clock is a wrong clock of the machine, and a
repeated nonce is a request that was sent before, sent again.
"""

import asyncio
import json
import sys
import time
from typing import Any
from unittest import mock

import httpx
from netsuite import Config, NetSuiteRestApi, TokenAuth
from netsuite.exceptions import NetsuiteAPIRequestError

CALLS = {"suiteql", "get", "post", "put", "patch", "delete", "request", "jsonschema", "openapi"}


class Pointed(NetSuiteRestApi):
    """The client, pointed at another root."""

    root = ""

    def _make_url(self, subpath: str) -> str:
        return f"{self.root}/services/rest{subpath}"


async def called(line: dict[str, Any], sent: list[httpx.Request]) -> Any:
    if line["call"] == "again":
        async with httpx.AsyncClient() as client:
            return shown(await client.send(sent[-1]))
    if line["call"] not in CALLS:
        raise LookupError(line["call"])
    who = dict(line["who"])
    api = Pointed(Config(account=who.pop("account"), auth=TokenAuth(**who)), **line["how"])
    api.root = line["root"]
    answer = await getattr(api, line["call"])(**line["with"])
    if isinstance(answer, httpx.Response):
        sent.append(answer.request)
        return shown(answer)
    return answer


def shown(answer: httpx.Response) -> dict[str, Any]:
    return {"status": answer.status_code, "headers": dict(answer.headers), "text": answer.text}


def main() -> None:
    right = time.time
    sent: list[httpx.Request] = []
    for text in sys.stdin:
        line: dict[str, Any] = json.loads(text)
        off: float = line["clock"]
        with mock.patch("time.time", lambda off=off: right() + off):
            try:
                answer = {"answer": asyncio.run(called(line, sent))}
            except NetsuiteAPIRequestError as refused:
                answer = {"refused": [refused.status_code, refused.response_text]}
        print(json.dumps(answer), flush=True)  # noqa: T201 - its only way to speak


if __name__ == "__main__":
    main()
