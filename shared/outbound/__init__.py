"""The one room that speaks HTTP outward: client, retry, breaker, budget, auth, paging; no business word enters."""

from shared.outbound.address import route
from shared.outbound.answer import Answer, drift
from shared.outbound.auth import AuthFlow, RequestSigner, StaticHeaders, TokenRequest
from shared.outbound.breaker import Breaker
from shared.outbound.budget import OFFICE, Budget, BudgetFacts, BudgetUse
from shared.outbound.client import Outbound
from shared.outbound.errors import ErrorRow
from shared.outbound.oauth1 import OAuth1Signer
from shared.outbound.paging import foreign_cursor, next_link, pack_cursor, unpack_cursor, walk
from shared.outbound.retry import RetryPolicy
from shared.outbound.tiers import ClientCredentials, TokenExchange, acting_for

__all__ = [
    "OFFICE",
    "Answer",
    "AuthFlow",
    "Breaker",
    "Budget",
    "BudgetFacts",
    "BudgetUse",
    "ClientCredentials",
    "ErrorRow",
    "OAuth1Signer",
    "Outbound",
    "RequestSigner",
    "RetryPolicy",
    "StaticHeaders",
    "TokenExchange",
    "TokenRequest",
    "acting_for",
    "drift",
    "foreign_cursor",
    "next_link",
    "pack_cursor",
    "route",
    "unpack_cursor",
    "walk",
]
