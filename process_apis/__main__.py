"""`python -m process_apis`: the process tier as a program."""

from __future__ import annotations

from process_apis.app import create_app
from process_apis.settings import ProcessSettings
from shared.serving.server import run_server
from shared.serving.settings import load_settings


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(ProcessSettings)
    run_server(create_app(settings), settings)


if __name__ == "__main__":
    main()
