-- Amounts are TEXT: the raw integer in the unit of the column (USDC 1e-6, sizes, prices and indexes 1e-18), 128 bits,
-- exact. Numbers and times are INTEGER; times are unix seconds unless the name says _ms. Hashes and addresses are BLOB.
-- A row is named by (block, log_index): `blocks` gives each number one hash, so this is unique on (block hash, log index).

CREATE TABLE indexer (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    chain_id INTEGER NOT NULL,
    registry BLOB NOT NULL CHECK (length(registry) = 20),
    deployment_block INTEGER NOT NULL,
    confirmations INTEGER NOT NULL,
    head INTEGER NOT NULL,
    head_seen_ms INTEGER NOT NULL,
    finalized INTEGER NOT NULL,
    -- Blocks up to here cannot be taken back any more: what was before them is forgotten.
    undo_floor INTEGER NOT NULL,
    cursor_number INTEGER,
    cursor_hash BLOB,
    cursor_time INTEGER,
    seq INTEGER NOT NULL,
    CHECK ((cursor_number IS NULL) = (cursor_hash IS NULL) AND (cursor_number IS NULL) = (cursor_time IS NULL))
) STRICT;

CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    time INTEGER NOT NULL CHECK (time > 0),
    has_rows INTEGER NOT NULL
) STRICT;
CREATE INDEX blocks_empty ON blocks (number) WHERE has_rows = 0;

CREATE TABLE nav_points (
    vault BLOB NOT NULL CHECK (length(vault) = 20),
    idx INTEGER NOT NULL,
    strategy INTEGER NOT NULL,
    strategy_idx INTEGER NOT NULL,
    time INTEGER NOT NULL CHECK (time > 0),
    nav_index TEXT NOT NULL,
    total_equity TEXT NOT NULL,
    strategy_nav_index TEXT NOT NULL,
    strategy_equity TEXT NOT NULL,
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    tx_hash BLOB NOT NULL CHECK (length(tx_hash) = 32),
    PRIMARY KEY (vault, idx)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX nav_points_strategy ON nav_points (strategy, strategy_idx);
CREATE UNIQUE INDEX nav_points_log ON nav_points (block, log_index);

CREATE TABLE batches (
    vault BLOB NOT NULL CHECK (length(vault) = 20),
    batch_id INTEGER NOT NULL,
    strategy INTEGER NOT NULL,
    market INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    leverage TEXT NOT NULL,
    observed_at_ms INTEGER NOT NULL,
    delay_ms INTEGER NOT NULL,
    index_price TEXT NOT NULL,
    fill_price TEXT NOT NULL,
    slippage_bps TEXT NOT NULL,
    net_size TEXT NOT NULL,
    crossed_size TEXT NOT NULL,
    venue_fee TEXT NOT NULL,
    copy_fee TEXT NOT NULL,
    volume TEXT NOT NULL,
    moved INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    tx_hash BLOB NOT NULL CHECK (length(tx_hash) = 32),
    PRIMARY KEY (vault, batch_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX batches_log ON batches (block, log_index);
CREATE INDEX batches_strategy ON batches (strategy, block, log_index);

CREATE TABLE fills (
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    line INTEGER NOT NULL,
    vault BLOB NOT NULL CHECK (length(vault) = 20),
    account INTEGER NOT NULL,
    follower BLOB CHECK (follower IS NULL OR length(follower) = 20),
    strategy INTEGER NOT NULL,
    market INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    cause INTEGER NOT NULL,
    batch_id INTEGER,
    outcome INTEGER,
    delay_ms INTEGER,
    size_delta TEXT NOT NULL,
    quote_delta TEXT NOT NULL,
    fee TEXT NOT NULL,
    price TEXT NOT NULL,
    index_price TEXT NOT NULL,
    slippage_bps TEXT NOT NULL,
    notional TEXT NOT NULL,
    position TEXT NOT NULL,
    realised TEXT NOT NULL,
    tx_hash BLOB NOT NULL CHECK (length(tx_hash) = 32),
    PRIMARY KEY (block, log_index, line),
    CHECK ((cause = 0) = (batch_id IS NOT NULL AND outcome IS NOT NULL AND delay_ms IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX fills_follower ON fills (follower, block, log_index, line) WHERE follower IS NOT NULL;
CREATE INDEX fills_strategy ON fills (strategy, block, log_index, line);

CREATE TABLE signals (
    strategy INTEGER NOT NULL,
    market INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    leverage TEXT NOT NULL,
    observed_at_ms INTEGER NOT NULL,
    proof INTEGER NOT NULL,
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    tx_hash BLOB NOT NULL CHECK (length(tx_hash) = 32),
    PRIMARY KEY (block, log_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX signals_strategy ON signals (strategy, block, log_index);

-- Everything that happened to an account besides fills; `body` is the event as JSON.
CREATE TABLE entries (
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    line INTEGER NOT NULL,
    vault BLOB NOT NULL CHECK (length(vault) = 20),
    account INTEGER NOT NULL,
    follower BLOB NOT NULL CHECK (length(follower) = 20),
    strategy INTEGER NOT NULL,
    body TEXT NOT NULL,
    tx_hash BLOB NOT NULL CHECK (length(tx_hash) = 32),
    PRIMARY KEY (block, log_index, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_follower ON entries (follower, block, log_index, line);

-- What changes: one JSON body per strategy, vault, account, hour and day. `key` is big-endian, so its order is that of
-- the numbers in it.
CREATE TABLE documents (
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    strategy INTEGER,
    owner BLOB,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_owner ON documents (kind, owner) WHERE owner IS NOT NULL;
CREATE INDEX documents_strategy ON documents (kind, strategy, key) WHERE strategy IS NOT NULL;

-- Bodies before a block that is not final yet; NULL: there was none.
CREATE TABLE undo (
    block INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    body TEXT,
    PRIMARY KEY (block, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    from_block INTEGER NOT NULL,
    to_block INTEGER NOT NULL,
    everything INTEGER NOT NULL,
    strategies TEXT NOT NULL,
    followers TEXT NOT NULL
) STRICT;
