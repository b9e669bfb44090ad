CREATE TABLE instance (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    bootstrapped_at INTEGER,
    automatic_account BLOB,
    automatic_credential BLOB
);
INSERT INTO instance (id) VALUES (1);

CREATE TABLE key_checks (
    version INTEGER PRIMARY KEY,
    check_value BLOB NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE accounts (
    id BLOB PRIMARY KEY,
    name text NOT NULL,
    name_key text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    scope_ceiling text,
    ops_addresses TEXT NOT NULL,
    token_prefix text NOT NULL,
    default_lifetime_us INTEGER,
    max_lifetime_us INTEGER,
    require_confirmed_contact INTEGER NOT NULL,
    tokens_per_service_account INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by text NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
);

CREATE TABLE environments (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    name_key text NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX environments_name ON environments (account_id, name_key);

CREATE TABLE users (
    id BLOB PRIMARY KEY,
    email text NOT NULL,
    email_key text NOT NULL,
    password_hash text,
    language text NOT NULL,
    setup_generation INTEGER NOT NULL,
    setup_expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email_key);

CREATE TABLE members (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    PRIMARY KEY (account_id, user_id)
);

CREATE TABLE service_accounts (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    environment_id BLOB REFERENCES environments (id),
    name text NOT NULL,
    name_key text NOT NULL,
    description text,
    contact_email text,
    pending_contact_email text,
    contact_language text NOT NULL,
    contact_state text NOT NULL CHECK (contact_state IN ('none', 'pending', 'confirmed', 'undeliverable')),
    contact_confirmed_at INTEGER,
    resent_at INTEGER,
    resend_window_at INTEGER,
    resends INTEGER NOT NULL,
    scopes text NOT NULL,
    basic_auth_enabled INTEGER NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    suspended_at INTEGER,
    revoked_at INTEGER,
    revoked_by text,
    created_at INTEGER NOT NULL,
    created_by text NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE INDEX service_accounts_page ON service_accounts (account_id, id);
CREATE INDEX service_accounts_revoked ON service_accounts (revoked_at) WHERE status = 'revoked';

CREATE TABLE credentials (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    service_account_id BLOB REFERENCES service_accounts (id),
    environment_id BLOB REFERENCES environments (id),
    kind text NOT NULL CHECK (kind IN ('opaque', 'jwt', 'key')),
    public_id text NOT NULL,
    prefix text NOT NULL,
    last4 text NOT NULL,
    sealed BLOB NOT NULL,
    key_version INTEGER NOT NULL,
    description text,
    scopes text NOT NULL,
    is_primary INTEGER NOT NULL,
    family_id BLOB NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    suspended_at INTEGER,
    revoked_at INTEGER,
    revoked_by text,
    revoke_reason text,
    not_before INTEGER,
    expires_at INTEGER,
    retires_at INTEGER,
    ends_at INTEGER,
    end_recorded_at INTEGER,
    created_at INTEGER NOT NULL,
    created_by text NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
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
    credential_id BLOB PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    first_used_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    uses INTEGER NOT NULL
);

CREATE TABLE confirmations (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    service_account_id BLOB NOT NULL REFERENCES service_accounts (id),
    email text NOT NULL,
    language text NOT NULL,
    is_fallback INTEGER NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'disowned', 'superseded')),
    generation INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    decided_at INTEGER,
    version INTEGER NOT NULL
);
CREATE INDEX confirmations_of_service_account ON confirmations (service_account_id);

CREATE TABLE notices (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL,
    service_account_id BLOB,
    confirmation_id BLOB,
    kind text NOT NULL,
    dedupe_key text NOT NULL,
    recipient text,
    recipient_hash BLOB NOT NULL,
    message_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'accepted', 'deferred', 'undeliverable', 'failed', 'skipped')),
    detail text,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    accepted_at INTEGER
);
CREATE UNIQUE INDEX notices_dedupe ON notices (dedupe_key);
CREATE INDEX notices_recipient ON notices (recipient_hash, created_at);
CREATE INDEX notices_of_service_account ON notices (service_account_id, id);
CREATE INDEX notices_address ON notices (created_at) WHERE recipient IS NOT NULL;

CREATE TABLE events (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    kind text NOT NULL,
    actor_kind text NOT NULL,
    actor_id BLOB,
    actor_service_account_id BLOB,
    environment_id BLOB,
    service_account_id BLOB,
    credential_id BLOB,
    request_id BLOB,
    client_ip text,
    data TEXT NOT NULL
);
CREATE INDEX events_page ON events (account_id, id);
CREATE INDEX events_of_service_account ON events (service_account_id, id) WHERE service_account_id IS NOT NULL;
CREATE INDEX events_address ON events (at) WHERE client_ip IS NOT NULL;

CREATE TABLE jobs (
    id BLOB PRIMARY KEY,
    name text NOT NULL,
    payload TEXT NOT NULL,
    run_at INTEGER NOT NULL,
    lease_no INTEGER NOT NULL,
    leased_until INTEGER,
    started_at INTEGER,
    attempt INTEGER NOT NULL,
    last_error text,
    outcome text CHECK (outcome IN ('done', 'buried', 'cancelled')),
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    CHECK ((outcome IS NULL) = (done_at IS NULL))
);
CREATE INDEX jobs_due ON jobs (run_at) WHERE done_at IS NULL;
CREATE INDEX jobs_leased ON jobs (leased_until) WHERE done_at IS NULL AND leased_until IS NOT NULL;
CREATE INDEX jobs_open ON jobs (name) WHERE done_at IS NULL;
CREATE INDEX jobs_over ON jobs (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE schedules (
    name text PRIMARY KEY,
    next_run_at INTEGER NOT NULL,
    last_run_at INTEGER
);

CREATE TABLE feed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind text NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX feed_age ON feed (at);

CREATE TABLE idempotency (
    actor text NOT NULL,
    door text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    fingerprint BLOB NOT NULL,
    outcome TEXT NOT NULL,
    credential_id BLOB,
    sealed_secret BLOB,
    key_version INTEGER,
    secret_until INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (actor, door, operation, key)
);
CREATE INDEX idempotency_age ON idempotency (expires_at);
CREATE INDEX idempotency_secret ON idempotency (credential_id) WHERE sealed_secret IS NOT NULL;
