"""What the issuer tells of itself: RFC 8414 and OpenID Connect Discovery in one document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experience_apis.identity.assertions import ASSERTION_ALGORITHMS
from experience_apis.identity.authority import AUTH_METHODS, PORTAL_AUTH_METHODS
from experience_apis.identity.codes.wishes import PERSON_SCOPES
from experience_apis.identity.keys import ALGORITHM
from experience_apis.identity.records import GrantType
from experience_apis.identity.roles import RoleBook
from experience_apis.wording.catalog import LANGUAGES


def server_metadata(issuer: str, book: RoleBook, proof_algorithms: Sequence[str]) -> dict[str, Any]:
    """The document of an issuer."""
    place = issuer.rstrip("/")
    signed = list(ASSERTION_ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{place}/oauth/authorize",
        "token_endpoint": f"{place}/oauth/token",
        "userinfo_endpoint": f"{place}/oauth/userinfo",
        "jwks_uri": f"{place}/.well-known/jwks.json",
        "introspection_endpoint": f"{place}/oauth/introspect",
        "revocation_endpoint": f"{place}/oauth/revoke",
        "end_session_endpoint": f"{place}/oauth/logout",
        "grant_types_supported": [str(grant) for grant in GrantType],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": sorted(book.known() | PERSON_SCOPES),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": list(LANGUAGES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": [
            "sub",
            "name",
            "preferred_username",
            "email",
            "locale",
            "roles",
            "tenant",
            "auth_time",
            "sid",
            "amr",
        ],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "token_endpoint_auth_methods_supported": PORTAL_AUTH_METHODS,
        "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": PORTAL_AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": signed,
        "introspection_endpoint_auth_signing_alg_values_supported": signed,
        "revocation_endpoint_auth_signing_alg_values_supported": signed,
        "dpop_signing_alg_values_supported": list(proof_algorithms),
    }
