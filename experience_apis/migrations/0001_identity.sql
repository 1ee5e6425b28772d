-- What the issuer remembers: clients and their hashed secrets, sealed signing keys, withdrawn tokens.

CREATE TABLE oauth_clients (
    client_id text PRIMARY KEY,
    name text NOT NULL,
    tenant text NOT NULL,
    subject text NOT NULL,
    plan text NOT NULL,
    scopes text[] NOT NULL,
    audiences text[] NOT NULL,
    grant_types text[] NOT NULL,
    acts_at text,
    is_enabled boolean NOT NULL DEFAULT true,
    is_from_file boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE oauth_client_secrets (
    client_id text NOT NULL REFERENCES oauth_clients ON DELETE CASCADE,
    secret_hash text NOT NULL CHECK (secret_hash LIKE '$argon2id$%'),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (client_id, secret_hash)
);

CREATE TABLE oauth_signing_keys (
    kid text PRIMARY KEY,
    algorithm text NOT NULL,
    public_key jsonb NOT NULL CHECK (public_key -> 'd' IS NULL),
    sealed_key text NOT NULL,
    signs_from timestamptz NOT NULL,
    retires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE oauth_revoked_tokens (
    jti text PRIMARY KEY,
    tenant text NOT NULL,
    client_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX oauth_revoked_tokens_by_end ON oauth_revoked_tokens (expires_at);
