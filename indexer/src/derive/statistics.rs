//! The figures, each with its formula.

/// Name of a figure in [`Statistics`](crate::model::Statistics) and its formula, for whoever prints it.
pub const FORMULAS: &[(&str, &str)] = &[
    (
        "totalReturn",
        "last NAV index ÷ NAV index at the start of the window − 1; time-weighted, net of flows and fees",
    ),
    (
        "maxDrawdown",
        "largest 1 − trough ÷ earlier peak over every recorded NAV point of the window",
    ),
    (
        "sharpe",
        "mean ÷ standard deviation (n − 1) of daily UTC returns × √365, risk-free rate 0; blank under 30 days",
    ),
    (
        "sortino",
        "mean ÷ √(Σ min(r, 0)² ÷ n) of daily UTC returns × √365, risk-free rate 0; blank under 30 days or without a \
         losing day",
    ),
    (
        "volatility",
        "standard deviation (n − 1) of daily UTC returns × √365; blank under 30 days",
    ),
    (
        "winRate",
        "closed positions with a profit after fees and funding ÷ all closed positions of all followers",
    ),
    (
        "profitFactor",
        "sum of profits ÷ sum of losses of closed positions; none when nothing was lost",
    ),
    (
        "realised",
        "sum of results of closed positions after fees and funding",
    ),
    ("volume", "sum of |size| × fill price"),
    ("fees", "copy fees and venue fees paid by followers"),
    ("performanceFees", "performance fees paid by followers"),
    (
        "slippageBps",
        "Σ cost against the index price ÷ Σ volume of batch fills × 10,000; positive = worse than index",
    ),
    (
        "delayMs",
        "mean over batches of block time − time at which the master's state was observed",
    ),
    ("maxDelayMs", "largest such delay"),
    ("movedShare", "accounts moved ÷ accounts named in batches"),
];
