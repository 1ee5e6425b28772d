"""Whose certificates count: one context for all connections, because reading the roots takes ten milliseconds."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """The public roots; the environment is not looked at. Nobody may change what comes out: it is everybody's."""
    return httpx.create_ssl_context(trust_env=False)
