-- A master's state that was handed in to be attested, until the chain has stored it. The newest of a market wins.
CREATE TABLE attestations (
    strategy    INTEGER NOT NULL,
    market      INTEGER NOT NULL,
    leverage    TEXT    NOT NULL, -- 1e18, whole number
    observed_at INTEGER NOT NULL, -- unix ms
    sequence    INTEGER,          -- of the signed signal that carries it, once there is one
    PRIMARY KEY (strategy, market)
) STRICT;
