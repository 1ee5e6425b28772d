-- Cross-references, change hints and watermarks of the system tier.
CREATE TABLE cross_references (
    tenant       text NOT NULL,
    entity       text NOT NULL,
    canonical_id text NOT NULL,
    system       text NOT NULL,
    ref          text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, entity, canonical_id, system),
    UNIQUE (tenant, entity, system, ref)
);

CREATE TABLE change_hints (
    id          bigserial PRIMARY KEY,
    tenant      text NOT NULL,
    system      text NOT NULL,
    entity      text NOT NULL,
    ref         text NOT NULL,
    key         text NOT NULL,
    occurred_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0,
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'read', 'failed')),
    reason      text,
    UNIQUE (tenant, system, entity, key)
);
CREATE INDEX change_hints_pending ON change_hints (due_at) WHERE state = 'pending';

CREATE TABLE watermarks (
    tenant     text NOT NULL,
    system     text NOT NULL,
    name       text NOT NULL,
    at         timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, system, name)
);
