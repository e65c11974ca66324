//! From the store's model to what travels.

use lockstep_contracts::fills::Outcome;
use lockstep_contracts::relay;
use lockstep_indexer::model;

use crate::dto::account::{
    Account, AccountEntry, AccountEvent, AccountStatus, ClosedPositions, MandateBounds, Mode, Position,
};
use crate::dto::batch::{self, Batch, BatchSignal, Fill, FillCause};
use crate::dto::nav::{ChainPoint, Finality, NavPoint};
use crate::dto::page::Page;
use crate::dto::relay::{RelayState, RelayStatus};
use crate::dto::scalar::Timestamp;
use crate::dto::status::BlockRef;
use crate::dto::strategy::{PendingTerms, Proof, Signal, StrategySort, Terms};

/// A page of rows as a page of what travels.
pub fn page<T, U>(page: model::Page<T>, convert: impl FnMut(T) -> U) -> Page<U> {
    Page {
        items: page.items.into_iter().map(convert).collect(),
        next: page.next,
    }
}

impl From<model::Finality> for Finality {
    fn from(finality: model::Finality) -> Self {
        match finality {
            model::Finality::Pending => Self::Pending,
            model::Finality::Confirmed => Self::Confirmed,
            model::Finality::Finalized => Self::Finalized,
        }
    }
}

impl From<model::Origin> for ChainPoint {
    fn from(origin: model::Origin) -> Self {
        Self {
            block: origin.block,
            block_hash: origin.block_hash.into(),
            time: Timestamp::from_seconds(origin.time),
            transaction: origin.tx_hash.into(),
            log_index: origin.log_index,
            finality: origin.finality.into(),
        }
    }
}

impl From<model::BlockRef> for BlockRef {
    fn from(block: model::BlockRef) -> Self {
        Self {
            number: block.number,
            hash: block.hash.into(),
            time: Timestamp::from_seconds(block.time),
        }
    }
}

impl From<model::NavPoint> for NavPoint {
    fn from(point: model::NavPoint) -> Self {
        Self {
            vault: point.vault.into(),
            index: point.vault_index,
            position: point.index,
            block: point.origin.block,
            time: Timestamp::from_seconds(point.time),
            nav_index: point.nav_index.into(),
            total_equity: point.total_equity.into(),
            finality: point.origin.finality.into(),
        }
    }
}

impl From<model::Terms> for Terms {
    fn from(terms: model::Terms) -> Self {
        Self {
            copy_fee_bps: terms.copy_fee_bps,
            performance_fee_bps: terms.performance_fee_bps,
            max_leverage_bps: terms.max_leverage_bps,
            max_slippage_bps: terms.max_slippage_bps,
            dead_band_bps: terms.dead_band_bps,
            min_trade_notional: terms.min_trade_notional.into(),
            max_open_notional: terms.max_open_notional.into(),
            disclosure_delay_seconds: terms.disclosure_delay,
        }
    }
}

impl From<model::PendingTerms> for PendingTerms {
    fn from(pending: model::PendingTerms) -> Self {
        Self {
            effective_at: Timestamp::from_seconds(pending.effective_at),
            lapses_at: Timestamp::from_seconds(pending.lapses_at()),
            terms: pending.terms.into(),
        }
    }
}

impl From<model::Proof> for Proof {
    fn from(proof: model::Proof) -> Self {
        match proof {
            model::Proof::Venue => Self::Venue,
            model::Proof::Master => Self::Master,
            model::Proof::Keeper => Self::Keeper,
        }
    }
}

impl From<model::Signal> for Signal {
    fn from(signal: model::Signal) -> Self {
        Self {
            strategy_id: signal.strategy_id.to_string(),
            market: signal.market,
            symbol: signal.symbol,
            leverage: signal.leverage.into(),
            sequence: signal.sequence.into(),
            observed_at: Timestamp::from_unsigned_millis(signal.observed_at_ms),
            proof: signal.proof.into(),
            at: signal.origin.into(),
        }
    }
}

impl From<StrategySort> for model::StrategyOrder {
    fn from(sort: StrategySort) -> Self {
        match sort {
            StrategySort::Equity => Self::Equity,
            StrategySort::Return => Self::Return,
            StrategySort::Sharpe => Self::Sharpe,
            StrategySort::Drawdown => Self::Drawdown,
            StrategySort::Followers => Self::Followers,
            StrategySort::Newest => Self::Newest,
        }
    }
}

/// When something recorded at `origin` may be shown, and whether that is so at `now`.
///
/// The clock starts with the block, not with the observation: what a master asked for is that much time after the
/// trade is on the chain.
#[must_use]
pub fn disclosure(origin: &model::Origin, delay_seconds: u32, now: Timestamp) -> (Timestamp, bool) {
    let at = Timestamp::from_seconds(origin.time.saturating_add(u64::from(delay_seconds)));
    (at, at <= now)
}

/// A batch, its signal held back while the strategy's disclosure delay runs.
#[must_use]
pub fn batch(batch: model::Batch, delay_seconds: u32, now: Timestamp) -> Batch {
    let (disclosed_at, disclosed) = disclosure(&batch.origin, delay_seconds, now);
    Batch {
        id: batch_id(batch.vault, batch.batch_id),
        strategy_id: batch.strategy_id.to_string(),
        vault: batch.vault.into(),
        number: batch.batch_id,
        market: batch.market,
        symbol: batch.symbol,
        signal: disclosed.then(|| BatchSignal {
            leverage: batch.leverage.into(),
            sequence: batch.sequence.into(),
            observed_at: Timestamp::from_unsigned_millis(batch.observed_at_ms),
            delay_ms: batch.delay_ms,
        }),
        disclosed_at,
        index_price: batch.index_price.into(),
        fill_price: batch.fill_price.into(),
        slippage_bps: batch.slippage_bps.into(),
        net_size: batch.net_size.into(),
        crossed_size: batch.crossed_size.into(),
        venue_fee: batch.venue_fee.into(),
        copy_fee: batch.copy_fee.into(),
        volume: batch.volume.into(),
        moved: batch.moved,
        skipped: batch.skipped,
        at: batch.origin.into(),
    }
}

fn batch_id(vault: alloy::primitives::Address, number: u64) -> String {
    format!("{vault}:{number}")
}

impl From<Outcome> for batch::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Moved => Self::Moved,
            Outcome::Capped => Self::Capped,
            Outcome::AtTarget => Self::AtTarget,
            Outcome::AlreadyApplied => Self::AlreadyApplied,
            Outcome::Dust => Self::Dust,
            Outcome::Expired => Self::Expired,
            Outcome::MarketNotAllowed => Self::MarketNotAllowed,
            Outcome::UnderMargined => Self::UnderMargined,
            Outcome::SlippageBound => Self::SlippageBound,
            Outcome::TurnoverBound => Self::TurnoverBound,
            Outcome::NotionalBound => Self::NotionalBound,
            Outcome::LeverageBound => Self::LeverageBound,
            Outcome::ReduceOnly => Self::ReduceOnly,
            Outcome::Inactive => Self::Inactive,
            Outcome::SizeOverflow => Self::SizeOverflow,
        }
    }
}

/// A fill; the delay, from which the time of the master's trade follows, is held back like the signal.
#[must_use]
pub fn fill(fill: model::Fill, delay_seconds: u32, now: Timestamp) -> Fill {
    let (_, disclosed) = disclosure(&fill.origin, delay_seconds, now);
    let (cause, batch, outcome, delay_ms) = match fill.cause {
        model::FillCause::Batch {
            batch_id: number,
            outcome,
            delay_ms,
        } => (
            FillCause::Batch,
            Some(batch_id(fill.vault, number)),
            Some(outcome.into()),
            Some(delay_ms),
        ),
        model::FillCause::Exit => (FillCause::Exit, None, None, None),
        model::FillCause::StopLoss => (FillCause::StopLoss, None, None, None),
        model::FillCause::TakeProfit => (FillCause::TakeProfit, None, None, None),
        model::FillCause::Liquidation => (FillCause::Liquidation, None, None, None),
    };
    Fill {
        id: format!(
            "{}:{}:{}",
            fill.origin.tx_hash, fill.origin.log_index, fill.account
        ),
        strategy_id: fill.strategy_id.to_string(),
        vault: fill.vault.into(),
        account: fill.account,
        follower: fill.follower.map(Into::into),
        cause,
        batch_id: batch,
        outcome,
        delay_ms: delay_ms.filter(|_| disclosed),
        market: fill.market,
        symbol: fill.symbol,
        size_delta: fill.size_delta.into(),
        quote_delta: fill.quote_delta.into(),
        fee: fill.fee.into(),
        fill_price: fill.price.into(),
        index_price: fill.index_price.into(),
        slippage_bps: fill.slippage_bps.into(),
        notional: fill.notional.into(),
        position: fill.position.into(),
        realised: fill.realised.into(),
        at: fill.origin.into(),
    }
}

impl From<model::AccountStatus> for AccountStatus {
    fn from(status: model::AccountStatus) -> Self {
        match status {
            model::AccountStatus::Active => Self::Active,
            model::AccountStatus::Stopped => Self::Stopped,
            model::AccountStatus::StoppedOut => Self::StoppedOut,
            model::AccountStatus::Liquidated => Self::Liquidated,
        }
    }
}

impl From<AccountStatus> for model::AccountStatus {
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Active => Self::Active,
            AccountStatus::Stopped => Self::Stopped,
            AccountStatus::StoppedOut => Self::StoppedOut,
            AccountStatus::Liquidated => Self::Liquidated,
        }
    }
}

impl From<model::Mode> for Mode {
    fn from(mode: model::Mode) -> Self {
        match mode {
            model::Mode::ProRata => Self::ProRata,
            model::Mode::Fixed => Self::Fixed,
            model::Mode::DeltaNeutral => Self::DeltaNeutral,
        }
    }
}

impl From<model::Bounds> for MandateBounds {
    fn from(bounds: model::Bounds) -> Self {
        Self {
            hash: bounds.mandate_hash.into(),
            mode: bounds.mode.into(),
            ratio_bps: bounds.ratio_bps,
            fixed_notional: bounds.fixed_notional.into(),
            hedge_bps: bounds.hedge_bps,
            max_leverage_bps: bounds.max_leverage_bps,
            max_slippage_bps: bounds.max_slippage_bps,
            max_position_notional: bounds.max_position_notional.into(),
            max_daily_turnover: bounds.max_daily_turnover.into(),
            stop_loss_bps: bounds.stop_loss_bps,
            take_profit_bps: bounds.take_profit_bps,
            allowed_markets: bounds.allowed_markets,
            expires_at: Timestamp::from_seconds(bounds.expiry),
            accepted_at: Timestamp::from_seconds(bounds.accepted_at),
        }
    }
}

impl From<model::Position> for Position {
    fn from(position: model::Position) -> Self {
        Self {
            market: position.market,
            symbol: position.symbol,
            size: position.size.into(),
            quote: position.quote.into(),
            average_entry: position.average_entry.map(Into::into),
            mark_price: position.mark_price.map(Into::into),
            mark_time: position.mark_time.map(Timestamp::from_seconds),
            value: position.value.map(Into::into),
            opened_at: Timestamp::from_seconds(position.opened_at),
        }
    }
}

impl From<model::Closed> for ClosedPositions {
    fn from(closed: model::Closed) -> Self {
        Self {
            count: closed.count,
            wins: closed.wins,
            profit: closed.profit.into(),
            loss: closed.loss.into(),
        }
    }
}

impl From<model::Account> for Account {
    fn from(account: model::Account) -> Self {
        Self {
            id: format!("{}:{}", account.vault, account.account),
            strategy_id: account.strategy_id.to_string(),
            strategy_name: account.strategy_name,
            vault: account.vault.into(),
            account: account.account,
            follower: account.follower.into(),
            status: account.status.into(),
            mandate: account.bounds.map(Into::into),
            deposited: account.deposited.into(),
            withdrawn: account.withdrawn.into(),
            net_deposits: account.net_deposits.into(),
            margin: account.margin.into(),
            equity: account.equity.map(Into::into),
            high_water_mark: account.high_water_mark.map(Into::into),
            fees: account.fees.into(),
            performance_fees: account.performance_fees.into(),
            volume: account.volume.into(),
            slippage_cost: account.slippage_cost.into(),
            fills: account.fills,
            skips: account.skips,
            closed: account.closed.into(),
            positions: account.positions.into_iter().map(Into::into).collect(),
            opened_at: Timestamp::from_seconds(account.opened_at),
            touched_at: Timestamp::from_seconds(account.touched_at),
        }
    }
}

impl From<model::AccountEvent> for AccountEvent {
    fn from(event: model::AccountEvent) -> Self {
        use model::AccountEvent as E;
        match event {
            E::Opened => Self::Opened,
            E::MandateAccepted { mandate_hash } => Self::MandateAccepted {
                mandate_hash: mandate_hash.into(),
            },
            E::StatusChanged { status } => Self::StatusChanged {
                status: status.into(),
            },
            E::Deposited { amount } => Self::Deposited {
                amount: amount.into(),
            },
            E::Withdrawn { amount, debited } => Self::Withdrawn {
                amount: amount.into(),
                debited: debited.into(),
            },
            E::PerformanceFee {
                profit,
                fee,
                high_water_mark,
            } => Self::PerformanceFee {
                profit: profit.into(),
                fee: fee.into(),
                high_water_mark: high_water_mark.into(),
            },
            E::QuoteSwept { market, amount } => Self::QuoteSwept {
                market,
                amount: amount.into(),
            },
            E::Liquidated {
                liquidator,
                reward,
                to_insurance,
            } => Self::Liquidated {
                liquidator: liquidator.into(),
                reward: reward.into(),
                to_insurance: to_insurance.into(),
            },
            E::BadDebt {
                amount,
                insured,
                socialised,
            } => Self::BadDebt {
                amount: amount.into(),
                insured: insured.into(),
                socialised: socialised.into(),
            },
            E::VenueDiverged {
                market,
                before,
                after,
                cash,
            } => Self::VenueDiverged {
                market,
                before: before.into(),
                after: after.into(),
                cash: cash.into(),
            },
        }
    }
}

impl From<model::AccountEntry> for AccountEntry {
    fn from(entry: model::AccountEntry) -> Self {
        Self {
            strategy_id: entry.strategy_id.to_string(),
            vault: entry.vault.into(),
            account: entry.account,
            event: entry.event.into(),
            at: entry.origin.into(),
        }
    }
}

impl From<relay::RelayStatus> for RelayStatus {
    fn from(status: relay::RelayStatus) -> Self {
        use relay::RelayState as S;
        let state = match status.state {
            S::Queued => RelayState::Queued,
            S::Submitted { transaction } => RelayState::Submitted {
                transaction: transaction.into(),
            },
            S::Included { transaction, block } => RelayState::Included {
                transaction: transaction.into(),
                block,
            },
            S::Rejected { code, detail } => RelayState::Rejected { code, detail },
        };
        Self {
            id: status.id.into(),
            state,
        }
    }
}
