"""`python -m system_apis`: serve the system tier."""

from __future__ import annotations

from shared.errors.taxonomy import Misconfigured
from shared.serving.server import run_server
from shared.serving.settings import load_settings, stop
from system_apis.app import create_app
from system_apis.catalog import Catalog, open_catalog
from system_apis.settings import SystemSettings


def main() -> None:
    """Read settings and the tenants' files, serve until told to stop."""
    settings = load_settings(SystemSettings)
    run_server(create_app(settings, catalog=_catalog(settings)), settings)


def _catalog(settings: SystemSettings) -> Catalog:
    try:
        return open_catalog(settings.tenants_dir)
    except Misconfigured as wrong:
        stop([f"THROUGHLINE_SYSTEM_TENANTS_DIR: {wrong.message}"])


if __name__ == "__main__":
    main()
