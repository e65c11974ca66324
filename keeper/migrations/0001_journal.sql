-- The keeper's write-ahead journal. A row is written before the act it describes. No secret is ever in it.

-- Which chain, deployment and key this journal belongs to.
CREATE TABLE identity (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A master's state as the keeper saw it when it decided to act.
CREATE TABLE signals (
    id          INTEGER PRIMARY KEY,
    strategy    INTEGER NOT NULL,
    market      INTEGER NOT NULL,
    leverage    TEXT    NOT NULL, -- 1e18 as a decimal
    sequence    INTEGER,          -- signed signals only
    observed_at INTEGER NOT NULL, -- unix ms, block time
    signature   BLOB,
    seen_at     INTEGER NOT NULL  -- unix ms, wall clock
) STRICT;
CREATE UNIQUE INDEX signals_sequence ON signals (strategy, market, sequence) WHERE sequence IS NOT NULL;

-- One transaction the keeper wants mined, whatever fee it takes. One nonce for ever.
CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY,
    kind         TEXT    NOT NULL,
    cause        TEXT    NOT NULL, -- what it is for, readable
    vault        BLOB,
    market       INTEGER,
    signal       INTEGER REFERENCES signals (id),
    target       BLOB    NOT NULL,
    calldata     BLOB    NOT NULL,
    gas          INTEGER NOT NULL,
    nonce        INTEGER NOT NULL UNIQUE,
    state        TEXT    NOT NULL CHECK (state IN ('signed', 'submitted', 'included', 'confirmed', 'usurped')),
    transaction_hash BLOB,
    block        INTEGER,
    block_hash   BLOB,
    success      INTEGER,
    outcome      TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_open ON jobs (state) WHERE state IN ('signed', 'submitted', 'included');

-- The signed bytes of a job, oldest first; a later one replaces an earlier one at a higher fee.
CREATE TABLE attempts (
    hash       BLOB PRIMARY KEY,
    job        INTEGER NOT NULL REFERENCES jobs (id),
    raw        BLOB    NOT NULL,
    max_fee    TEXT    NOT NULL, -- wei
    tip        TEXT    NOT NULL, -- wei
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_job ON attempts (job);

-- What followers handed in. The id is the EIP-712 digest of what was signed.
CREATE TABLE relays (
    id         BLOB PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('mandate', 'intent')),
    body       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('queued', 'submitted', 'included', 'rejected')),
    job        INTEGER REFERENCES jobs (id),
    transaction_hash BLOB,
    block      INTEGER,
    code       TEXT,
    detail     TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX relays_queued ON relays (created_at) WHERE state = 'queued';
CREATE INDEX relays_job ON relays (job);
