ALTER TABLE service_accounts ADD COLUMN name_is_exclusive INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service_accounts ADD COLUMN username text;
ALTER TABLE service_accounts ADD COLUMN username_key text;
CREATE UNIQUE INDEX service_accounts_username ON service_accounts (account_id, username_key) WHERE username_key IS NOT NULL AND status <> 'revoked';
CREATE UNIQUE INDEX service_accounts_exclusive_name ON service_accounts (account_id, name_key) WHERE name_is_exclusive AND status <> 'revoked';
CREATE INDEX service_accounts_name ON service_accounts (account_id, name_key) WHERE status <> 'revoked';

ALTER TABLE credentials ADD COLUMN inherits_scopes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN sealed_secret BLOB;
ALTER TABLE credentials ADD COLUMN deleted_at INTEGER;
CREATE INDEX credentials_of_account ON credentials (account_id, id);

CREATE TABLE numbers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL
);
CREATE UNIQUE INDEX numbers_id ON numbers (id);
INSERT INTO numbers (id) SELECT id FROM (SELECT id FROM service_accounts UNION ALL SELECT id FROM credentials) AS made ORDER BY id;

CREATE TABLE signing_keys (
    id BLOB PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('next', 'active', 'retired')),
    public_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    key_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    activated_at INTEGER,
    retired_at INTEGER,
    version INTEGER NOT NULL
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (status) WHERE status = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (status) WHERE status = 'next';

CREATE TABLE used_assertions (
    service_account_id BLOB NOT NULL,
    jti_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (service_account_id, jti_hash)
);
CREATE INDEX used_assertions_age ON used_assertions (expires_at);

CREATE TABLE revoked_access_tokens (
    id BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
CREATE INDEX revoked_access_tokens_age ON revoked_access_tokens (expires_at);
