-- What sources outside the chain must not forget over a restart. No key and no token is ever in it.

-- Signal sources: what was taken last, and whether somebody has to mend them.
CREATE TABLE signal_sources (
    name          TEXT PRIMARY KEY,
    sequence      TEXT,            -- of the state taken last, whole number
    broken_reason TEXT,
    broken_since  INTEGER,         -- unix ms
    CHECK ((broken_reason IS NULL) = (broken_since IS NULL))
) STRICT;

-- Masters on exchanges: the state that was attested last, so that a restart attests what is new and nothing again.
CREATE TABLE exchange_states (
    strategy    INTEGER NOT NULL,
    market      TEXT    NOT NULL, -- its name on the chain
    size        TEXT    NOT NULL, -- net, base units, decimal
    leverage    TEXT    NOT NULL, -- 1e18, whole number
    attested_at INTEGER NOT NULL, -- unix ms, wall clock
    PRIMARY KEY (strategy, market)
) STRICT;
