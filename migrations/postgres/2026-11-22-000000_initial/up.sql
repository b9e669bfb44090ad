CREATE TABLE instance (
    id integer PRIMARY KEY CHECK (id = 1),
    bootstrapped_at timestamptz,
    automatic_account uuid,
    automatic_credential uuid
);
INSERT INTO instance (id) VALUES (1);

CREATE TABLE key_checks (
    version integer PRIMARY KEY,
    check_value bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    name_key text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    scope_ceiling text,
    ops_addresses jsonb NOT NULL,
    token_prefix text NOT NULL,
    default_lifetime_us bigint,
    max_lifetime_us bigint,
    require_confirmed_contact boolean NOT NULL,
    tokens_per_service_account integer NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE environments (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    name_key text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX environments_name ON environments (account_id, name_key);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    email_key text NOT NULL,
    password_hash text,
    language text NOT NULL,
    setup_generation integer NOT NULL,
    setup_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email_key);

CREATE TABLE members (
    account_id uuid NOT NULL REFERENCES accounts (id),
    user_id uuid NOT NULL REFERENCES users (id),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    PRIMARY KEY (account_id, user_id)
);

CREATE TABLE service_accounts (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    environment_id uuid REFERENCES environments (id),
    name text NOT NULL,
    name_key text NOT NULL,
    description text,
    contact_email text,
    pending_contact_email text,
    contact_language text NOT NULL,
    contact_state text NOT NULL CHECK (contact_state IN ('none', 'pending', 'confirmed', 'undeliverable')),
    contact_confirmed_at timestamptz,
    resent_at timestamptz,
    resend_window_at timestamptz,
    resends integer NOT NULL,
    scopes text NOT NULL,
    basic_auth_enabled boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    suspended_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE INDEX service_accounts_page ON service_accounts (account_id, id);
CREATE INDEX service_accounts_revoked ON service_accounts (revoked_at) WHERE status = 'revoked';

CREATE TABLE credentials (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    service_account_id uuid REFERENCES service_accounts (id),
    environment_id uuid REFERENCES environments (id),
    kind text NOT NULL CHECK (kind IN ('opaque', 'jwt', 'key')),
    public_id text NOT NULL,
    prefix text NOT NULL,
    last4 text NOT NULL,
    sealed bytea NOT NULL,
    key_version integer NOT NULL,
    description text,
    scopes text NOT NULL,
    is_primary boolean NOT NULL,
    family_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    suspended_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    revoke_reason text,
    not_before timestamptz,
    expires_at timestamptz,
    retires_at timestamptz,
    ends_at timestamptz,
    end_recorded_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK (service_account_id IS NULL OR environment_id IS NULL)
);
CREATE UNIQUE INDEX credentials_public_id ON credentials (public_id);
CREATE UNIQUE INDEX credentials_primary ON credentials (service_account_id) WHERE is_primary;
CREATE INDEX credentials_of_service_account ON credentials (service_account_id, id) WHERE service_account_id IS NOT NULL;
CREATE INDEX credentials_direct ON credentials (account_id, id) WHERE service_account_id IS NULL;
CREATE INDEX credentials_ending ON credentials (ends_at) WHERE end_recorded_at IS NULL AND status <> 'revoked';
CREATE INDEX credentials_over ON credentials (updated_at) WHERE end_recorded_at IS NOT NULL OR status = 'revoked';

CREATE TABLE credential_use (
    credential_id uuid PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    first_used_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    uses bigint NOT NULL
);

CREATE TABLE confirmations (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    service_account_id uuid NOT NULL REFERENCES service_accounts (id),
    email text NOT NULL,
    language text NOT NULL,
    is_fallback boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'disowned', 'superseded')),
    generation integer NOT NULL,
    key_version integer NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    decided_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX confirmations_of_service_account ON confirmations (service_account_id);

CREATE TABLE notices (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    service_account_id uuid,
    confirmation_id uuid,
    kind text NOT NULL,
    dedupe_key text NOT NULL,
    recipient text,
    recipient_hash bytea NOT NULL,
    message_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'accepted', 'deferred', 'undeliverable', 'failed', 'skipped')),
    detail text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    accepted_at timestamptz
);
CREATE UNIQUE INDEX notices_dedupe ON notices (dedupe_key);
CREATE INDEX notices_recipient ON notices (recipient_hash, created_at);
CREATE INDEX notices_of_service_account ON notices (service_account_id, id);
CREATE INDEX notices_address ON notices (created_at) WHERE recipient IS NOT NULL;

CREATE TABLE events (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    actor_service_account_id uuid,
    environment_id uuid,
    service_account_id uuid,
    credential_id uuid,
    request_id uuid,
    client_ip text,
    data jsonb NOT NULL
);
CREATE INDEX events_page ON events (account_id, id);
CREATE INDEX events_of_service_account ON events (service_account_id, id) WHERE service_account_id IS NOT NULL;
CREATE INDEX events_address ON events (at) WHERE client_ip IS NOT NULL;

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    payload jsonb NOT NULL,
    run_at timestamptz NOT NULL,
    lease_no bigint NOT NULL,
    leased_until timestamptz,
    started_at timestamptz,
    attempt integer NOT NULL,
    last_error text,
    outcome text CHECK (outcome IN ('done', 'buried', 'cancelled')),
    created_at timestamptz NOT NULL,
    done_at timestamptz,
    CHECK ((outcome IS NULL) = (done_at IS NULL))
);
CREATE INDEX jobs_due ON jobs (run_at) WHERE done_at IS NULL;
CREATE INDEX jobs_leased ON jobs (leased_until) WHERE done_at IS NULL AND leased_until IS NOT NULL;
CREATE INDEX jobs_open ON jobs (name) WHERE done_at IS NULL;
CREATE INDEX jobs_over ON jobs (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE schedules (
    name text PRIMARY KEY,
    next_run_at timestamptz NOT NULL,
    last_run_at timestamptz
);

CREATE TABLE feed (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX feed_age ON feed (at);

CREATE TABLE idempotency (
    actor text NOT NULL,
    door text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    outcome jsonb NOT NULL,
    credential_id uuid,
    sealed_secret bytea,
    key_version integer,
    secret_until timestamptz,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (actor, door, operation, key)
);
CREATE INDEX idempotency_age ON idempotency (expires_at);
CREATE INDEX idempotency_secret ON idempotency (credential_id) WHERE sealed_secret IS NOT NULL;
