"""`python -m experience_apis`: serve the experience tier."""

from __future__ import annotations

from experience_apis.app import create_app
from experience_apis.settings import ExperienceSettings
from shared.serving.server import run_server
from shared.serving.settings import load_settings


def main() -> None:
    """Read settings, serve until told to stop."""
    settings = load_settings(ExperienceSettings)
    run_server(create_app(settings), settings)


if __name__ == "__main__":
    main()
