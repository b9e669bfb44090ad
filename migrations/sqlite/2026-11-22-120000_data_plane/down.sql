DROP TABLE nodes;
ALTER TABLE instance DROP COLUMN uses_tracked_since;
DROP TABLE credential_use_days;
ALTER TABLE credentials DROP COLUMN rate_period_s;
ALTER TABLE credentials DROP COLUMN rate_limit;
ALTER TABLE credentials DROP COLUMN allowed_networks;
