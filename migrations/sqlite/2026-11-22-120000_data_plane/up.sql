ALTER TABLE credentials ADD COLUMN allowed_networks text;
ALTER TABLE credentials ADD COLUMN rate_limit INTEGER;
ALTER TABLE credentials ADD COLUMN rate_period_s INTEGER CHECK ((rate_limit IS NULL) = (rate_period_s IS NULL));

-- Days since 1970 in UTC. No foreign key, as on PostgreSQL, where its check would lock each credential's row once a
-- day. What is left of a purged credential goes by age.
CREATE TABLE credential_use_days (
    credential_id BLOB NOT NULL,
    day INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    PRIMARY KEY (credential_id, day)
);
CREATE INDEX credential_use_days_age ON credential_use_days (day);

ALTER TABLE instance ADD COLUMN uses_tracked_since INTEGER;
UPDATE instance SET uses_tracked_since = unixepoch() * 1000000;

CREATE TABLE nodes (
    id BLOB PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    counts_until INTEGER NOT NULL,
    applied INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,
    lease_us INTEGER NOT NULL,
    max_age_us INTEGER NOT NULL,
    uses_flushed_at INTEGER
);
CREATE INDEX nodes_counting ON nodes (counts_until);
