-- Which requests were answered how. A row is a claim until `status` is set, then an answer; both end at `valid_until`.
CREATE TABLE idempotency_keys (
    tenant      text NOT NULL,
    client_id   text NOT NULL,
    operation   text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    ticket      text NOT NULL,
    valid_until timestamptz NOT NULL,
    status      integer,
    headers     jsonb,
    body        bytea,
    PRIMARY KEY (tenant, client_id, operation, key)
);
CREATE INDEX idempotency_keys_end ON idempotency_keys (valid_until);
