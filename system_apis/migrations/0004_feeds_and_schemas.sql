-- Where each change feed is read on, what vendors' schemas looked like, and where mappings no longer fit them.
CREATE TABLE feed_positions (
    tenant     text NOT NULL,
    system     text NOT NULL,
    position   text,
    resets     integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, system)
);
CREATE TABLE schema_snapshots (
    tenant  text NOT NULL,
    system  text NOT NULL,
    object  text NOT NULL,
    fields  jsonb NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, system, object)
);
CREATE TABLE schema_findings (
    tenant   text NOT NULL,
    system   text NOT NULL,
    entity   text NOT NULL,
    field    text NOT NULL,
    kind     text NOT NULL,
    reason   text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, system, entity, field, kind)
);
CREATE TABLE schema_checks (
    tenant     text NOT NULL,
    system     text NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, system)
);
