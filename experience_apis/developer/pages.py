"""Puts the developer site together: its library, its public pages and those of people who have logged in."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from experience_apis.developer.approvals import approval_pages
from experience_apis.developer.catalog import Library
from experience_apis.developer.clients import client_pages
from experience_apis.developer.routes import public_pages
from experience_apis.developer.site import Site


def developer_site(gateway_dir: Path, openapi_dir: Path, *, address: str) -> Site:
    """The site; `address` is where callers reach this tier."""
    return Site(Library(gateway_dir, openapi_dir), address=address)


def developer_pages(site: Site) -> list[APIRouter]:
    """Every page under /developer. People's pages find at `app.state`: `visitors`, `client_desk` and `usage`."""
    return [public_pages(site), client_pages(site), approval_pages(site)]
