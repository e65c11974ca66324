//! Follows Lockstep logs through reorgs into the store and derives NAV curves and statistics.
