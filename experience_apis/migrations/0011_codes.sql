-- What portals may do for people: where clients are reached, consents, one-time codes, rotated refresh tokens.

ALTER TABLE oauth_clients
    ADD COLUMN IF NOT EXISTS redirect_uris text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS logout_uris text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS is_first_party boolean NOT NULL DEFAULT false;

CREATE TABLE oauth_consents (
    person text NOT NULL REFERENCES people ON DELETE CASCADE,
    client_id text NOT NULL REFERENCES oauth_clients ON DELETE CASCADE,
    scopes text[] NOT NULL,
    given_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person, client_id)
);

-- One row per code; after its redemption the row is the grant whose tokens live and die together.
CREATE TABLE oauth_grants (
    id text PRIMARY KEY,
    code_digest bytea NOT NULL UNIQUE,
    client_id text NOT NULL REFERENCES oauth_clients ON DELETE CASCADE,
    person text NOT NULL REFERENCES people ON DELETE CASCADE,
    session_id text NOT NULL REFERENCES person_sessions ON DELETE CASCADE,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    nonce text,
    scopes text[] NOT NULL,
    auth_time timestamptz NOT NULL,
    key_thumbprint text,
    code_ends_at timestamptz NOT NULL,
    code_used_at timestamptz,
    ends_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text
);

CREATE INDEX oauth_grants_of_a_session ON oauth_grants (session_id) WHERE ended_at IS NULL;
CREATE INDEX oauth_grants_by_end ON oauth_grants (ends_at);

CREATE TABLE oauth_refresh_tokens (
    digest bytea PRIMARY KEY,
    grant_id text NOT NULL REFERENCES oauth_grants ON DELETE CASCADE,
    issued_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE INDEX oauth_refresh_tokens_of_a_grant ON oauth_refresh_tokens (grant_id);

-- Access tokens still alive, so that the end of a grant reaches them.
CREATE TABLE oauth_grant_tokens (
    jti text PRIMARY KEY,
    grant_id text NOT NULL REFERENCES oauth_grants ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE INDEX oauth_grant_tokens_of_a_grant ON oauth_grant_tokens (grant_id);
