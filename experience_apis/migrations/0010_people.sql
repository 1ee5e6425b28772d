-- People who log in, their sessions, and who guessed at passwords lately.

CREATE TABLE people (
    name text PRIMARY KEY CHECK (name = lower(name)),
    subject text NOT NULL,
    tenant text NOT NULL,
    full_name text NOT NULL,
    email text,
    roles text[] NOT NULL,
    customers text[],
    language text,
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    seeded_hash text,
    must_change_password boolean NOT NULL DEFAULT false,
    password_changed_at timestamptz NOT NULL DEFAULT now(),
    is_enabled boolean NOT NULL DEFAULT true,
    is_from_file boolean NOT NULL DEFAULT false,
    is_listed boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, subject)
);

CREATE TABLE login_failures (
    kind text NOT NULL CHECK (kind IN ('account', 'address')),
    digest bytea NOT NULL,
    failures integer NOT NULL,
    next_at timestamptz NOT NULL,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (kind, digest)
);

CREATE INDEX login_failures_by_age ON login_failures (failed_at);

CREATE TABLE person_sessions (
    id text PRIMARY KEY,
    cookie_digest bytea NOT NULL UNIQUE,
    person text NOT NULL REFERENCES people ON DELETE CASCADE,
    auth_time timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    address text NOT NULL,
    browser text NOT NULL,
    ended_at timestamptz,
    end_reason text
);

CREATE INDEX person_sessions_of_a_person ON person_sessions (person) WHERE ended_at IS NULL;
CREATE INDEX person_sessions_by_end ON person_sessions (ends_at);
