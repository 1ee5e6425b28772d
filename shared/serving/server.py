"""Runs a tier on uvicorn: fast loop, orderly end; no policy enters."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from shared.serving.settings import TierSettings
from shared.serving.wire import TierProtocol

_SECONDS_TO_FINISH = 15


def run_server(app: FastAPI, settings: TierSettings) -> None:
    """Serve until told to stop; requests that have begun may finish."""
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=TierProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who may speak for others is declared in the policy `proxies`, nowhere else
        log_config=None,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
