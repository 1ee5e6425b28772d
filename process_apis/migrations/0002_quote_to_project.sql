-- Deals on their way from closed won to an active project.

CREATE TABLE deals (
    tenant            text NOT NULL,
    opportunity_id    text NOT NULL,
    revision          integer NOT NULL,
    run_id            text NOT NULL UNIQUE,
    state             text NOT NULL CHECK (state IN ('checking', 'exception', 'awaiting_approval', 'provisioning',
                                                     'activated', 'rejected', 'cancelled', 'superseded', 'late')),
    requested_by      text NOT NULL,
    won_at            timestamptz NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT now(),
    changed_at        timestamptz NOT NULL DEFAULT now(),
    activated_at      timestamptz,
    reference         text,
    name              text,
    customer_id       text,
    customer_name     text,
    contract_id       text,
    project_id        text,
    legal_entity_code text,
    region            text,
    amount            numeric(21, 6),
    currency          text,
    findings          jsonb NOT NULL DEFAULT '[]',
    approval_kinds    text[] NOT NULL DEFAULT '{}',
    told_crm          text,
    checked_at        timestamptz,
    touched_at        timestamptz,
    is_begun          boolean NOT NULL DEFAULT false,
    is_irreversible   boolean NOT NULL DEFAULT false,
    snapshot          jsonb,
    cancelled_by      text,
    cancelled_because text,
    correlation_id    text,
    position          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (tenant, opportunity_id, revision)
);
-- At most one revision of an opportunity ever gets a project without a change order.
CREATE UNIQUE INDEX one_activated_revision ON deals (tenant, opportunity_id) WHERE state = 'activated';
CREATE INDEX deals_by_state ON deals (tenant, state, position);
CREATE INDEX deals_by_customer ON deals (tenant, customer_id);

CREATE VIEW deals_v AS
SELECT DISTINCT ON (tenant, opportunity_id)
       tenant, opportunity_id, reference, name, revision, run_id, state, customer_id, customer_name, contract_id, project_id,
       legal_entity_code, region, amount, currency, findings, approval_kinds, requested_by, won_at, started_at,
       changed_at, activated_at, position
FROM deals
WHERE state NOT IN ('late', 'superseded')
ORDER BY tenant, opportunity_id, (state = 'activated') DESC, revision DESC;

CREATE VIEW activated_deals_v AS
SELECT tenant, opportunity_id, project_id, contract_id, activated_at, snapshot
FROM deals
WHERE state = 'activated';
