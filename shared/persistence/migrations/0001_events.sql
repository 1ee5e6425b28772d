-- The event log of record. A row is written in the transaction of the change it tells of; the relay publishes it.
CREATE TABLE event_log (
    sequence     bigserial PRIMARY KEY,
    tenant       text NOT NULL,
    source       text NOT NULL,
    event_id     text NOT NULL,
    subject      text NOT NULL,
    type         text NOT NULL,
    body         jsonb NOT NULL,
    round        integer NOT NULL DEFAULT 0,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    UNIQUE (tenant, source, event_id)
);
COMMENT ON COLUMN event_log.body IS 'The whole CloudEvents envelope.';
COMMENT ON COLUMN event_log.round IS 'How often it was asked to be replayed.';
CREATE INDEX event_log_unpublished ON event_log (sequence) WHERE published_at IS NULL;
CREATE INDEX event_log_subject ON event_log (tenant, subject, sequence);

-- What each consumer has taken in: at-least-once delivery becomes exactly-once effect.
CREATE TABLE inbox (
    consumer    text NOT NULL,
    event_id    text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);

-- Events a consumer gave up on, with the reason; an operator replays or dismisses them.
CREATE TABLE dead_letters (
    id          bigserial PRIMARY KEY,
    consumer    text NOT NULL,
    tenant      text NOT NULL,
    source      text NOT NULL,
    event_id    text NOT NULL,
    subject     text NOT NULL,
    type        text NOT NULL,
    body        jsonb NOT NULL,
    attempts    integer NOT NULL,
    error_code  text NOT NULL,
    error       text NOT NULL,
    died_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolution  text,
    UNIQUE (consumer, tenant, source, event_id)
);
CREATE INDEX dead_letters_open ON dead_letters (tenant, id) WHERE resolved_at IS NULL;
