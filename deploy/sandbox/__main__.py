"""`python -m deploy.sandbox`: serves all vendors' simulators on one loopback port."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from deploy.sandbox.app import SandboxMisconfigured, build, read_options
from deploy.sandbox.catalog import broken

_IDLE_SECONDS = 65  # as the tiers: a server that was held up for seconds must not close on a request that waits


def main() -> None:
    """Parse the command line and serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8110)
    parser.add_argument("--options", type=Path, help="JSON: vendor → options of its simulator (credentials)")
    arguments = parser.parse_args()
    try:
        app = build(read_options(arguments.options) if arguments.options else None)
        if not arguments.options:
            for reason in broken().values():
                print(f"sandbox: left out: {reason}", file=sys.stderr)
    except SandboxMisconfigured as error:
        sys.exit(f"sandbox: {error}")
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_IDLE_SECONDS,
    )


if __name__ == "__main__":
    main()
