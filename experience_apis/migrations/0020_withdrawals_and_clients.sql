-- The feed of revocations every tier follows, and clients that are asked for, decided on, rotated and ended.

CREATE TABLE oauth_revocations (
    place bigserial PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('token', 'client', 'subject', 'session', 'key')),
    value text NOT NULL,
    tenant text NOT NULL DEFAULT '',
    before_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX oauth_revocations_by_value ON oauth_revocations (value, kind);
CREATE INDEX oauth_revocations_by_end ON oauth_revocations (until_at);

INSERT INTO oauth_revocations (kind, value, before_at, until_at, reason)
SELECT 'token', jti, expires_at, expires_at, 'revoked by its client' FROM oauth_revoked_tokens;

DROP TABLE oauth_revoked_tokens;

ALTER TABLE oauth_clients
    ADD COLUMN IF NOT EXISTS redirect_uris text[] NOT NULL DEFAULT '{}',
    ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('requested', 'active', 'disabled', 'rejected')),
    ADD COLUMN contact text NOT NULL DEFAULT '',
    ADD COLUMN purpose text NOT NULL DEFAULT '',
    ADD COLUMN plan_wished text,
    ADD COLUMN scopes_wished text[] NOT NULL DEFAULT '{}',
    ADD COLUMN auth_method text NOT NULL DEFAULT 'client_secret'
        CHECK (auth_method IN ('client_secret', 'private_key_jwt', 'none')),
    ADD COLUMN jwks jsonb,
    ADD COLUMN jwks_uri text,
    ADD COLUMN requires_dpop boolean NOT NULL DEFAULT false,
    ADD COLUMN registered_by text,
    ADD COLUMN registration_key text,
    ADD COLUMN registration_digest text,
    ADD COLUMN decided_by text,
    ADD COLUMN decided_at timestamptz,
    ADD COLUMN reason text,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN version integer NOT NULL DEFAULT 1;

UPDATE oauth_clients SET state = 'disabled' WHERE NOT is_enabled;

CREATE UNIQUE INDEX oauth_clients_by_registration ON oauth_clients (tenant, registered_by, registration_key)
    WHERE registration_key IS NOT NULL;
CREATE INDEX oauth_clients_of_a_tenant ON oauth_clients (tenant, client_id);

ALTER TABLE oauth_client_secrets
    ADD COLUMN secret_id text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    ADD COLUMN rotation_key text;

CREATE UNIQUE INDEX oauth_client_secrets_by_rotation ON oauth_client_secrets (client_id, rotation_key)
    WHERE rotation_key IS NOT NULL;

ALTER TABLE oauth_signing_keys ADD COLUMN reason text;
