-- Amounts are TEXT: the raw integer in the unit of the column (USDC 1e-6, sizes, prices and indexes 1e-18), 128 bits,
-- exact. Numbers and times are BIGINT; times are unix seconds unless the name says _ms. Hashes and addresses are BYTEA.
-- A row is named by (block, log_index): `blocks` gives each number one hash, so this is unique on (block hash, log index).

CREATE TABLE indexer (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    chain_id BIGINT NOT NULL,
    registry BYTEA NOT NULL CHECK (octet_length(registry) = 20),
    deployment_block BIGINT NOT NULL,
    confirmations BIGINT NOT NULL,
    head BIGINT NOT NULL,
    head_seen_ms BIGINT NOT NULL,
    finalized BIGINT NOT NULL,
    -- Blocks up to here cannot be taken back any more: what was before them is forgotten.
    undo_floor BIGINT NOT NULL,
    cursor_number BIGINT,
    cursor_hash BYTEA,
    cursor_time BIGINT,
    seq BIGINT NOT NULL,
    CHECK ((cursor_number IS NULL) = (cursor_hash IS NULL) AND (cursor_number IS NULL) = (cursor_time IS NULL))
);

CREATE TABLE blocks (
    number BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    time BIGINT NOT NULL CHECK (time > 0),
    has_rows BIGINT NOT NULL
);
CREATE INDEX blocks_empty ON blocks (number) WHERE has_rows = 0;

CREATE TABLE nav_points (
    vault BYTEA NOT NULL CHECK (octet_length(vault) = 20),
    idx BIGINT NOT NULL,
    strategy BIGINT NOT NULL,
    strategy_idx BIGINT NOT NULL,
    time BIGINT NOT NULL CHECK (time > 0),
    nav_index TEXT NOT NULL,
    total_equity TEXT NOT NULL,
    strategy_nav_index TEXT NOT NULL,
    strategy_equity TEXT NOT NULL,
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    tx_hash BYTEA NOT NULL CHECK (octet_length(tx_hash) = 32),
    PRIMARY KEY (vault, idx)
);
CREATE UNIQUE INDEX nav_points_strategy ON nav_points (strategy, strategy_idx);
CREATE UNIQUE INDEX nav_points_log ON nav_points (block, log_index);

CREATE TABLE batches (
    vault BYTEA NOT NULL CHECK (octet_length(vault) = 20),
    batch_id BIGINT NOT NULL,
    strategy BIGINT NOT NULL,
    market BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    leverage TEXT NOT NULL,
    observed_at_ms BIGINT NOT NULL,
    delay_ms BIGINT NOT NULL,
    index_price TEXT NOT NULL,
    fill_price TEXT NOT NULL,
    slippage_bps TEXT NOT NULL,
    net_size TEXT NOT NULL,
    crossed_size TEXT NOT NULL,
    venue_fee TEXT NOT NULL,
    copy_fee TEXT NOT NULL,
    volume TEXT NOT NULL,
    moved BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    tx_hash BYTEA NOT NULL CHECK (octet_length(tx_hash) = 32),
    PRIMARY KEY (vault, batch_id)
);
CREATE UNIQUE INDEX batches_log ON batches (block, log_index);
CREATE INDEX batches_strategy ON batches (strategy, block, log_index);

CREATE TABLE fills (
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    line BIGINT NOT NULL,
    vault BYTEA NOT NULL CHECK (octet_length(vault) = 20),
    account BIGINT NOT NULL,
    follower BYTEA CHECK (follower IS NULL OR octet_length(follower) = 20),
    strategy BIGINT NOT NULL,
    market BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    cause BIGINT NOT NULL,
    batch_id BIGINT,
    outcome BIGINT,
    delay_ms BIGINT,
    size_delta TEXT NOT NULL,
    quote_delta TEXT NOT NULL,
    fee TEXT NOT NULL,
    price TEXT NOT NULL,
    index_price TEXT NOT NULL,
    slippage_bps TEXT NOT NULL,
    notional TEXT NOT NULL,
    position TEXT NOT NULL,
    realised TEXT NOT NULL,
    tx_hash BYTEA NOT NULL CHECK (octet_length(tx_hash) = 32),
    PRIMARY KEY (block, log_index, line),
    CHECK ((cause = 0) = (batch_id IS NOT NULL AND outcome IS NOT NULL AND delay_ms IS NOT NULL))
);
CREATE INDEX fills_follower ON fills (follower, block, log_index, line) WHERE follower IS NOT NULL;
CREATE INDEX fills_strategy ON fills (strategy, block, log_index, line);

CREATE TABLE signals (
    strategy BIGINT NOT NULL,
    market BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    leverage TEXT NOT NULL,
    observed_at_ms BIGINT NOT NULL,
    proof BIGINT NOT NULL,
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    tx_hash BYTEA NOT NULL CHECK (octet_length(tx_hash) = 32),
    PRIMARY KEY (block, log_index)
);
CREATE INDEX signals_strategy ON signals (strategy, block, log_index);

-- Everything that happened to an account besides fills; `body` is the event as JSON.
CREATE TABLE entries (
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    line BIGINT NOT NULL,
    vault BYTEA NOT NULL CHECK (octet_length(vault) = 20),
    account BIGINT NOT NULL,
    follower BYTEA NOT NULL CHECK (octet_length(follower) = 20),
    strategy BIGINT NOT NULL,
    body TEXT NOT NULL,
    tx_hash BYTEA NOT NULL CHECK (octet_length(tx_hash) = 32),
    PRIMARY KEY (block, log_index, line)
);
CREATE INDEX entries_follower ON entries (follower, block, log_index, line);

-- What changes: one JSON body per strategy, vault, account, hour and day. `key` is big-endian, so its order is that of
-- the numbers in it.
CREATE TABLE documents (
    kind TEXT NOT NULL,
    key BYTEA NOT NULL,
    strategy BIGINT,
    owner BYTEA,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX documents_owner ON documents (kind, owner) WHERE owner IS NOT NULL;
CREATE INDEX documents_strategy ON documents (kind, strategy, key) WHERE strategy IS NOT NULL;

-- Bodies before a block that is not final yet; NULL: there was none.
CREATE TABLE undo (
    block BIGINT NOT NULL,
    kind TEXT NOT NULL,
    key BYTEA NOT NULL,
    body TEXT,
    PRIMARY KEY (block, kind, key)
);

CREATE TABLE changes (
    seq BIGINT PRIMARY KEY,
    kind BIGINT NOT NULL,
    from_block BIGINT NOT NULL,
    to_block BIGINT NOT NULL,
    everything BIGINT NOT NULL,
    strategies TEXT NOT NULL,
    followers TEXT NOT NULL
);
