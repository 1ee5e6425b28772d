"""Rows of terms and prices: contracts under billing, rates, tax, customers' countries, feed watermarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.time_to_bill.ledger_store import LOCK_BILLING
from process_apis.time_to_bill.models import BillingTerms
from shared.canonical.catalog import LegalEntity, RateCard
from shared.canonical.customers import Customer
from shared.canonical.money import minor_digits
from shared.persistence.database import Database


async def keep_terms(connection: AsyncConnection, tenant: str, terms: BillingTerms) -> None:
    """Take a contract under billing. Repeat: its terms are brought up to date."""
    await connection.execute(
        text(
            "INSERT INTO billing_contracts (tenant, contract_id, contract_reference, opportunity_id,"
            " opportunity_reference, project_id, customer_id, customer_name, legal_entity_code, currency, minor_digits,"
            " payment_terms_days, purchase_order, rate_card_code, cap)"
            " VALUES (:tenant, :contract_id, :contract_reference, :opportunity_id, :opportunity_reference, :project_id,"
            " :customer_id, :customer_name, :legal_entity_code, :currency, :minor_digits, :payment_terms_days,"
            " :purchase_order, :rate_card_code, :cap)"
            " ON CONFLICT (tenant, contract_id) DO UPDATE SET payment_terms_days = excluded.payment_terms_days,"
            " purchase_order = excluded.purchase_order, rate_card_code = excluded.rate_card_code, cap = excluded.cap"
        ),
        {
            "tenant": tenant,
            "minor_digits": minor_digits(terms.currency),
            **terms.model_dump(exclude={"workstreams", "milestones", "customer_country"}),
        },
    )
    await connection.execute(
        text(
            "INSERT INTO billing_customers (tenant, customer_id, country) VALUES (:tenant, :id, :country)"
            " ON CONFLICT (tenant, customer_id) DO NOTHING"
        ),
        {"tenant": tenant, "id": terms.customer_id, "country": terms.customer_country},
    )
    for workstream in terms.workstreams:
        await connection.execute(
            text(
                "INSERT INTO billing_workstreams (tenant, workstream_id, contract_id, name, item_code)"
                " VALUES (:tenant, :id, :contract_id, :name, :item_code)"
                " ON CONFLICT (tenant, workstream_id) DO UPDATE SET item_code = excluded.item_code"
            ),
            {"tenant": tenant, "contract_id": terms.contract_id, **workstream.model_dump()},
        )
    for milestone in terms.milestones:
        await connection.execute(
            text(
                "INSERT INTO billing_milestones (tenant, milestone_id, contract_id, workstream_id, reference, name,"
                " amount, due_on)"
                " VALUES (:tenant, :id, :contract_id, :workstream_id, :reference, :name, :amount, :due_on)"
                " ON CONFLICT (tenant, milestone_id) DO UPDATE SET amount = excluded.amount, due_on = excluded.due_on"
            ),
            {"tenant": tenant, "contract_id": terms.contract_id, **milestone.model_dump()},
        )


class TermsStore:
    """Prices and tax as last read from the ERP, customers' countries as last read from the CRM."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def keep_rates(self, tenant: str, cards: Iterable[RateCard]) -> None:
        """Replace the tenant's rates by those just read; entries already billed keep the rate they were billed at."""
        rows = [(c.code, r.role, c.currency, r.rate, r.effective_from, r.effective_to) for c in cards for r in c.rates]
        columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), (), ()]
        names = ("codes", "roles", "currencies", "rates", "froms", "tos")
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_BILLING, {"tenant": tenant})
            await connection.execute(text("DELETE FROM billing_rates WHERE tenant = :tenant"), {"tenant": tenant})
            await connection.execute(
                text(
                    "INSERT INTO billing_rates (tenant, card_code, role, currency, rate, effective_from, effective_to)"
                    " SELECT :tenant, r.* FROM unnest(CAST(:codes AS text[]), CAST(:roles AS text[]),"
                    " CAST(:currencies AS text[]), CAST(:rates AS numeric[]), CAST(:froms AS date[]),"
                    " CAST(:tos AS date[])) AS r"
                ),
                {"tenant": tenant, **dict(zip(names, map(list, columns), strict=True))},
            )

    async def keep_entities(self, tenant: str, entities: Iterable[LegalEntity]) -> None:
        """Replace the tenant's tax rates by those just read."""
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_BILLING, {"tenant": tenant})
            await connection.execute(text("DELETE FROM billing_tax WHERE tenant = :tenant"), {"tenant": tenant})
            for entity in entities:
                await connection.execute(
                    text(
                        "INSERT INTO billing_tax (tenant, legal_entity_code, country, standard_rate)"
                        " VALUES (:tenant, :code, :country, :rate)"
                    ),
                    {
                        "tenant": tenant,
                        "code": entity.code,
                        "country": entity.country,
                        "rate": entity.standard_tax_rate,
                    },
                )

    async def keep_customers(self, tenant: str, customers: Sequence[Customer]) -> None:
        """Bring customers' countries up to date."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO billing_customers AS b (tenant, customer_id, country) SELECT :tenant, c.id, c.country"
                    " FROM unnest(CAST(:ids AS text[]), CAST(:countries AS text[])) AS c(id, country)"
                    " ON CONFLICT (tenant, customer_id) DO UPDATE SET country = excluded.country"
                    " WHERE b.country IS DISTINCT FROM excluded.country"
                ),
                {
                    "tenant": tenant,
                    "ids": [c.id for c in customers],
                    "countries": [c.bill_to.country for c in customers],
                },
            )

    async def watermark(self, tenant: str, feed: str) -> datetime | None:
        """Up to when the feed was read, or None at first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text("SELECT at FROM billing_watermarks WHERE tenant = :tenant AND feed = :feed"),
                {"tenant": tenant, "feed": feed},
            )
            return found.scalar_one_or_none()

    async def advance(self, tenant: str, feed: str, at: datetime) -> None:
        """Move the feed's watermark forward; never back."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO billing_watermarks (tenant, feed, at) VALUES (:tenant, :feed, :at)"
                    " ON CONFLICT (tenant, feed) DO UPDATE SET at = greatest(billing_watermarks.at, excluded.at)"
                ),
                {"tenant": tenant, "feed": feed, "at": at},
            )
