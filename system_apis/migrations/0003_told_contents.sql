-- Content of each record as it was last told in an event: a change of stamps alone is no news.
CREATE TABLE told_contents (
    tenant  text NOT NULL,
    entity  text NOT NULL,
    id      text NOT NULL,
    digest  text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, entity, id)
);
