"""An OpenID provider that is none of ours (idpyoidc), served over HTTP on loopback."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from idpyoidc.server import Server
from idpyoidc.server.configure import OPConfiguration
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tests.serving import listener, serving

RP, RP_SECRET, RP_ADDRESS = "harbour-desk", "rp-secret-0123456789012345678901", "http://127.0.0.1:1/back"
_SEALED = {
    "kwargs": {
        "keys": {"key_defs": [{"type": "OCT", "use": ["enc"], "kid": k} for k in ("password", "salt")]},
        "iterations": 1,
    }
}


@dataclass
class ForeignProvider:
    """The provider, its people and a way to log one of them in."""

    issuer: str
    folder: Path
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    who: str = "ada"
    server: Any = None

    def rekey(self) -> None:
        """All keys are new from now on."""
        conf = {
            "issuer": self.issuer,
            "key_conf": {"key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}], "uri_path": "jwks.json"},
            "preference": {"response_types_supported": ["code"], "subject_types_supported": ["public"]},
            "token_handler_args": {
                "code": {"lifetime": 600, "kwargs": {"crypt_conf": _SEALED}},
                "token": {
                    "class": "idpyoidc.server.token.jwt_token.JWTToken",
                    "kwargs": {"lifetime": 3600, "alg": "ES256", "add_claims_by_scope": True},
                },
                "id_token": {"class": "idpyoidc.server.token.id_token.IDToken", "kwargs": {}},
            },
            "endpoint": {
                "provider_config": {
                    "path": ".well-known/openid-configuration",
                    "class": "idpyoidc.server.oidc.provider_config.ProviderConfiguration",
                    "kwargs": {},
                },
                "authorization": {
                    "path": "authorization",
                    "class": "idpyoidc.server.oidc.authorization.Authorization",
                    "kwargs": {"response_types_supported": ["code"]},
                },
                "token": {
                    "path": "token",
                    "class": "idpyoidc.server.oidc.token.Token",
                    "kwargs": {"client_authn_method": ["client_secret_basic"]},
                },
            },
            "authentication": {
                "anon": {
                    "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:InternetProtocolPassword",
                    "class": "idpyoidc.server.user_authn.user.NoAuthn",
                    "kwargs": {"user": self.who},
                }
            },
            "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": self.people}},
            "scopes_to_claims": {"openid": ["sub"], "work": ["groups", "org", "buyers"]},
            "session_params": {"encrypter": _SEALED},
            "authz": {
                "class": "idpyoidc.server.authz.AuthzHandling",
                "kwargs": {
                    "grant_config": {
                        "usage_rules": {
                            "authorization_code": {"supports_minting": ["access_token", "id_token"], "max_usage": 1},
                            "access_token": {},
                        },
                        "expires_in": 43200,
                    }
                },
            },
        }
        self.server = Server(OPConfiguration(conf=conf, base_path=str(self.folder)), cwd=str(self.folder))
        context = self.server.context
        context.cdb[RP] = {
            "client_secret": RP_SECRET,
            "redirect_uris": [(RP_ADDRESS, "")],
            "response_types_supported": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "allowed_scopes": ["openid", "work"],
            "client_salt": "salt",
            "id_token_signed_response_alg": "ES256",
        }
        context.keyjar.add_symmetric(RP, RP_SECRET)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.asked.append(request.url.path)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        endpoints, path = self.server.endpoint, request.url.path
        if path == "/jwks.json":
            return Response(self.server.context.keyjar.export_jwks_as_json(issuer_id=""), media_type="application/json")
        if path == "/.well-known/openid-configuration":
            endpoint = endpoints["provider_config"]
            return Response(
                endpoint.do_response(**endpoint.process_request())["response"], media_type="application/json"
            )
        if path == "/authorization":
            endpoint = endpoints["authorization"]
            asked = endpoint.parse_request(dict(request.query_params))
            return RedirectResponse(endpoint.do_response(**endpoint.process_request(asked))["response"], 302)
        endpoint = endpoints["token"]
        form = dict(httpx.QueryParams((await request.body()).decode()))
        about = {"headers": dict(request.headers), "url": str(request.url), "method": "POST"}
        asked = endpoint.parse_request(form, http_info=about)
        done = endpoint.do_response(request=asked, **endpoint.process_request(asked))
        return Response(done["response"], media_type="application/json")

    async def logs_in(self, who: str) -> dict[str, Any]:
        """The answer of the token endpoint after a login of that person: `access_token` and `id_token`."""
        self.server.context.authn_broker.db["anon"]["method"].user = who
        async with httpx.AsyncClient(base_url=self.issuer) as client:
            asked = {
                "client_id": RP,
                "redirect_uri": RP_ADDRESS,
                "response_type": "code",
                "scope": "openid work",
                "state": "s",
                "nonce": "n",
            }
            back = await client.get("/authorization", params=asked)
            code = httpx.URL(back.headers["location"]).params["code"]
            basic = base64.b64encode(f"{RP}:{RP_SECRET}".encode()).decode()
            answer = await client.post(
                "/token",
                data={"grant_type": "authorization_code", "code": code, "redirect_uri": RP_ADDRESS, "client_id": RP},
                headers={"authorization": f"Basic {basic}"},
            )
        return json.loads(answer.content)


@asynccontextmanager
async def foreign_provider(folder: Path, people: dict[str, dict[str, Any]]) -> AsyncGenerator[ForeignProvider]:
    """The provider, served while the block lasts."""
    bound, url = listener()
    provider = ForeignProvider(url, folder, people)
    provider.rekey()
    async with serving(provider, bound, lifespan="off"):
        yield provider
