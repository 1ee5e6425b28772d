"""`python -m system_apis`: serve the system tier."""

from __future__ import annotations

from shared.serving.server import run_server
from shared.serving.settings import load_settings
from system_apis.app import create_app
from system_apis.settings import SystemSettings


def main() -> None:
    """Read settings, serve until told to stop."""
    settings = load_settings(SystemSettings)
    run_server(create_app(settings), settings)


if __name__ == "__main__":
    main()
