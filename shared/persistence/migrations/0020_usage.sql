-- Calls per client, operation and hour, added up by every replica every few seconds.
CREATE TABLE api_usage (
    tenant     text        NOT NULL,
    client_id  text        NOT NULL,
    api        text        NOT NULL,
    version    text        NOT NULL,
    operation  text        NOT NULL,
    hour       timestamptz NOT NULL,
    calls      bigint      NOT NULL,
    refused    bigint      NOT NULL,
    failed     bigint      NOT NULL,
    limited    bigint      NOT NULL,
    PRIMARY KEY (tenant, client_id, api, version, operation, hour)
);
CREATE INDEX api_usage_by_version ON api_usage (api, version, hour);
CREATE INDEX api_usage_by_hour ON api_usage (hour);
