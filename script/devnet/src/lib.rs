//! A whole Lockstep on one machine: local L2, real venue, masters, followers.
