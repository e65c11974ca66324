-- What the API knows and the chain does not. All of it is private to one address.

CREATE TABLE label (
    owner TEXT NOT NULL,
    vault TEXT NOT NULL,
    label TEXT NOT NULL CHECK (label <> ''),
    PRIMARY KEY (owner, vault)
) STRICT, WITHOUT ROWID;

-- `state` is the JSON of the last known state; `settled` = the chain has spoken.
CREATE TABLE relay (
    id TEXT NOT NULL PRIMARY KEY,
    follower TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('mandate', 'update', 'stop', 'withdraw')),
    vault TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    settled INTEGER NOT NULL CHECK (settled IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX relay_by_follower ON relay (follower, received_ms DESC);

-- Login nonces that were used and sessions that were ended, until they would have expired anyway.
CREATE TABLE spent (
    token TEXT NOT NULL PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_by_expiry ON spent (expires_ms);
