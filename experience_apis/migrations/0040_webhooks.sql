-- Webhooks to partners: where to, what of, with which secrets; what was told, and every attempt at telling it.

CREATE TABLE webhook_endpoints (
    endpoint_id text PRIMARY KEY,
    tenant text NOT NULL,
    owner text NOT NULL,
    client_id text NOT NULL,
    url text NOT NULL,
    description text,
    event_types text[] NOT NULL CHECK (cardinality(event_types) > 0),
    customers text[],
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
    disabled_because text,
    failing_since timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_endpoints_of_owner ON webhook_endpoints (tenant, owner, endpoint_id);

-- Sealed: they must be read again to sign with. Without an end: the one that signs; with one: its predecessor, which
-- signs beside it until then.
CREATE TABLE webhook_secrets (
    secret_id text PRIMARY KEY,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    sealed text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE UNIQUE INDEX webhook_secret_that_signs ON webhook_secrets (endpoint_id) WHERE expires_at IS NULL;

-- The exact text that is sent and signed; the same for every endpoint and every attempt.
CREATE TABLE webhook_messages (
    message_id text PRIMARY KEY,
    tenant text NOT NULL,
    event_type text NOT NULL,
    customer_id text,
    body text NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_messages_by_time ON webhook_messages (tenant, occurred_at);

CREATE TABLE webhook_deliveries (
    delivery_id text PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    message_id text NOT NULL REFERENCES webhook_messages,
    round integer NOT NULL DEFAULT 1,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz DEFAULT now(),
    leased_until timestamptz,
    last_status integer,
    last_error text,
    last_attempt_at timestamptz,
    delivered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (endpoint_id, message_id, round),
    CHECK ((state = 'pending') = (next_at IS NOT NULL))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, position);

CREATE TABLE webhook_attempts (
    delivery_id text NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    number integer NOT NULL,
    attempted_at timestamptz NOT NULL DEFAULT now(),
    status integer,
    ms integer NOT NULL,
    error text,
    answer text,
    PRIMARY KEY (delivery_id, number)
);
