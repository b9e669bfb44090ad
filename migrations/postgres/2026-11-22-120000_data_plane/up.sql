ALTER TABLE credentials ADD COLUMN allowed_networks text;
ALTER TABLE credentials ADD COLUMN rate_limit integer;
ALTER TABLE credentials ADD COLUMN rate_period_s integer CHECK ((rate_limit IS NULL) = (rate_period_s IS NULL));

-- Days since 1970 in UTC. No foreign key: its check would lock each credential's row once a day. What is left of a
-- purged credential goes by age.
CREATE TABLE credential_use_days (
    credential_id uuid NOT NULL,
    day bigint NOT NULL,
    uses bigint NOT NULL,
    PRIMARY KEY (credential_id, day)
);
CREATE INDEX credential_use_days_age ON credential_use_days (day);

ALTER TABLE instance ADD COLUMN uses_tracked_since timestamptz;
UPDATE instance SET uses_tracked_since = now();

CREATE TABLE nodes (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    counts_until timestamptz NOT NULL,
    applied bigint NOT NULL,
    applied_at timestamptz NOT NULL,
    lease_us bigint NOT NULL,
    max_age_us bigint NOT NULL,
    uses_flushed_at timestamptz
);
CREATE INDEX nodes_counting ON nodes (counts_until);
