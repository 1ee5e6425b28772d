"""What a refused caller is told in `WWW-Authenticate`: RFC 6750, RFC 9449 §7.1, and where RFC 9728 metadata stands."""

from __future__ import annotations

from shared.errors.taxonomy import NotAuthenticated, NotPermitted, PlatformError
from shared.gateway.policies.jwt.proofs import InvalidProof

_REALM = 'realm="throughline"'
METADATA_PATH = "/.well-known/oauth-protected-resource"


def metadata_address(base: str, path: str, version: str) -> str:
    """Where the metadata of the API stands that an operation's path belongs to (RFC 9728 §3.1)."""
    if not base:
        return ""
    root, slash, _ = f"{path}/".partition(f"/{version}/")
    return f"{base}{METADATA_PATH}{root}/{version}" if slash and root.count("/") == 1 else f"{base}{METADATA_PATH}"


def challenges(error: PlatformError, metadata: str, proof_algorithms: str) -> list[tuple[bytes, bytes]]:
    """The headers of a 401, or of a 403 for want of scope; none for anything else.

    `metadata` is the address of the protected-resource metadata, `proof_algorithms` are those of DPoP proofs, empty
    where none are taken.
    """
    if isinstance(error, NotPermitted):
        missing = error.extra.get("missing_scopes")
        if not missing:
            return []
        return [_line("Bearer", metadata, error="insufficient_scope", told=error.message, scope=" ".join(missing))]
    if not isinstance(error, NotAuthenticated):
        return []
    if isinstance(error, InvalidProof):
        return [_line("DPoP", metadata, algs=proof_algorithms, error="invalid_dpop_proof", told=error.message)]
    if error.message == NotAuthenticated.sentence:
        asked = [_line("Bearer", metadata)]
        return [*asked, _line("DPoP", metadata, algs=proof_algorithms)] if proof_algorithms else asked
    scheme = "DPoP" if proof_algorithms and error.extra.get("token_type") == "DPoP" else "Bearer"
    algorithms = proof_algorithms if scheme == "DPoP" else ""
    return [_line(scheme, metadata, algs=algorithms, error="invalid_token", told=error.message)]


def _line(
    scheme: str, metadata: str, *, error: str = "", told: str = "", scope: str = "", algs: str = ""
) -> tuple[bytes, bytes]:
    parts = [_REALM]
    if error:
        parts += [f'error="{error}"', f'error_description="{_quotable(told)}"']
    if scope:
        parts.append(f'scope="{_quotable(scope)}"')
    if algs:
        parts.append(f'algs="{algs}"')
    if metadata:
        parts.append(f'resource_metadata="{metadata}"')
    return (b"www-authenticate", f"{scheme} {', '.join(parts)}".encode())


def _quotable(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("\\", "").replace('"', "'")
