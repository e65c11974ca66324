//! What each event does.

use alloy::primitives::Address;
use lockstep_contracts::fills;
use lockstep_contracts::units::{Size, Usdc, Wad};

use super::documents::{
    AccountDoc, BucketPoint, Document, Key, Listing, Mark, MarketDoc, NavBucket, SeriesKey, Shard,
    StrategyDoc, SystemDoc, Tally, VaultDoc,
};
use super::math::{self, Overflow, WAD, add, sub};
use super::{At, DeriveError, Derived, Deriver, Done, NavRow, Undo, nav, position};
use crate::decode::{BatchEvent, Cause, Change, Event, FilledEvent};
use crate::model::{
    AccountEntry, AccountEvent, AccountStatus, Batch, Closed, Fill, FillCause, PendingTerms, Signal,
    StrategyId,
};

/// One event being applied.
pub(super) struct Step<'a> {
    pub deriver: &'a mut Deriver,
    pub out: &'a mut Derived,
    pub at: At,
    pub undo: bool,
}

/// What a fill outside or inside a batch has in common.
struct Trade {
    account: u32,
    market: u8,
    cause: FillCause,
    size: Size,
    quote: Usdc,
    fee: Usdc,
    price: Wad,
    index: Wad,
    funding_index: i64,
}

impl Step<'_> {
    // -------------------------------------------------------------------------------------------- documents

    /// Takes a document out to change it; [`put`](Self::put) it back.
    fn take(&mut self, key: Key) -> Done<Option<Document>> {
        let slot = self
            .deriver
            .cache
            .get_mut(&key)
            .ok_or(DeriveError::NotLoaded(key))?;
        let block = self.at.block.number;
        if self.undo && slot.undone != Some(block) {
            slot.undone = Some(block);
            self.out.undo.push(Undo {
                block,
                key,
                before: slot.document.clone(),
            });
        }
        slot.dirty = true;
        Ok(slot.document.take())
    }

    fn put(&mut self, key: Key, document: Document) {
        if let Some(slot) = self.deriver.cache.get_mut(&key) {
            slot.document = Some(document);
        }
    }

    fn system(&mut self, change: impl FnOnce(&mut SystemDoc, &At) -> Result<(), Overflow>) -> Done {
        let mut document = match self.take(Key::System)? {
            Some(Document::System(document)) => document,
            _ => SystemDoc::default(),
        };
        let changed = change(&mut document, &self.at).map_err(self.at.over());
        self.put(Key::System, Document::System(document));
        changed
    }

    fn strategy(
        &mut self,
        id: StrategyId,
        change: impl FnOnce(&mut StrategyDoc, &At) -> Result<(), Overflow>,
    ) -> Done {
        let key = Key::Strategy(id);
        let Some(Document::Strategy(mut document)) = self.take(key)? else {
            return Err(self.at.gap(format!("strategy {id} was never registered")));
        };
        self.out.strategies.insert(id);
        let changed = change(&mut document, &self.at).map_err(self.at.over());
        self.put(key, Document::Strategy(document));
        changed
    }

    fn take_vault(&mut self, vault: Address) -> Done<VaultDoc> {
        match self.take(Key::Vault(vault))? {
            Some(Document::Vault(document)) => Ok(document),
            _ => Err(self.at.gap(format!("vault {vault} was never created"))),
        }
    }

    fn strategy_of(&self, vault: Address) -> Done<StrategyId> {
        self.deriver
            .vaults
            .get(&vault)
            .copied()
            .ok_or_else(|| self.at.gap(format!("vault {vault} was never created")))
    }

    fn account(
        &mut self,
        vault: Address,
        account: u32,
        change: impl FnOnce(&mut AccountDoc, &At) -> Result<Option<AccountEvent>, Overflow>,
    ) -> Done {
        let key = Key::Account(vault, account);
        let Some(Document::Account(mut document)) = self.take(key)? else {
            return Err(self
                .at
                .gap(format!("account {account} of {vault} was never opened")));
        };
        document.touched_at = self.at.block.time;
        self.out.followers.insert(document.follower);
        self.out.strategies.insert(document.strategy);
        let entry = change(&mut document, &self.at).map_err(self.at.over())?;
        if let Some(event) = entry {
            self.enter(&document, event);
        }
        self.put(key, Document::Account(document));
        Ok(())
    }

    fn enter(&mut self, account: &AccountDoc, event: AccountEvent) {
        let origin = self.at.origin();
        let number = match self.out.facts.entries.last() {
            Some((number, entry))
                if (entry.origin.block, entry.origin.log_index) == (origin.block, origin.log_index) =>
            {
                number + 1
            }
            _ => 0,
        };
        let entry = AccountEntry {
            strategy_id: account.strategy,
            vault: account.vault,
            account: account.account,
            follower: account.follower,
            event,
            origin,
        };
        self.out.facts.entries.push((number, entry));
    }

    fn tally(&mut self, id: StrategyId, change: impl FnOnce(&mut Tally) -> Result<(), Overflow>) -> Done {
        let key = Key::Tally(id, self.at.block.time / nav::DAY);
        let mut document = match self.take(key)? {
            Some(Document::Tally(document)) => document,
            _ => Box::default(),
        };
        let changed = change(&mut document).map_err(self.at.over());
        self.put(key, Document::Tally(document));
        changed
    }

    fn margin_index(&self, vault: Address) -> Done<Wad> {
        match self
            .deriver
            .cache
            .get(&Key::Vault(vault))
            .and_then(|slot| slot.document.as_ref())
        {
            Some(Document::Vault(document)) => Ok(document.margin_index),
            _ => Err(self.at.gap(format!("vault {vault} was never created"))),
        }
    }

    // -------------------------------------------------------------------------------------------- events

    pub fn apply(&mut self, emitter: Address, event: &Event) -> Done {
        match event {
            Event::Ignored(_) => Ok(()),
            Event::MarketListed {
                venue,
                listing_id,
                venue_market,
                symbol,
            } => self.system(|system, _| {
                system.listings.push(Listing {
                    venue: *venue,
                    listing_id: *listing_id,
                    symbol: symbol.clone(),
                    venue_market: *venue_market,
                });
                Ok(())
            }),
            Event::StrategyRegistered { .. } => self.registered(event),
            Event::VaultCreated { strategy, vault, .. } => self.vault_created(*strategy, *vault),
            Event::TermsScheduled {
                strategy,
                terms,
                effective_at,
            } => self.strategy(*strategy, |doc, _| {
                doc.pending_terms = Some(PendingTerms {
                    terms: terms.clone(),
                    effective_at: *effective_at,
                });
                Ok(())
            }),
            Event::TermsApplied { strategy, terms } => self.strategy(*strategy, |doc, _| {
                doc.terms = terms.clone();
                doc.pending_terms = None;
                Ok(())
            }),
            Event::SourceChanged { strategy, source } => self.strategy(*strategy, |doc, _| {
                doc.source = *source;
                Ok(())
            }),
            Event::KeeperSet { keeper, allowed } => self.system(|system, _| {
                if *allowed {
                    system.keepers.insert(*keeper);
                } else {
                    system.keepers.remove(keeper);
                }
                Ok(())
            }),
            Event::BreakerTripped { until } => self.system(|system, _| {
                system.breaker_until = *until;
                Ok(())
            }),
            Event::InsurancePaid { amount } => self.system(|system, _| {
                system.insurance_paid = add(system.insurance_paid, *amount, "insurance paid")?;
                Ok(())
            }),
            Event::InsuranceDonated { amount } => self.system(|system, _| {
                system.insurance_donated = add(system.insurance_donated, *amount, "insurance donated")?;
                Ok(())
            }),
            Event::SignalAccepted {
                strategy,
                market,
                sequence,
                leverage,
                observed_at_ms,
                proof,
            } => {
                let mut signal = Signal {
                    strategy_id: *strategy,
                    market: *market,
                    symbol: String::new(),
                    sequence: *sequence,
                    leverage: *leverage,
                    observed_at_ms: *observed_at_ms,
                    proof: *proof,
                    origin: self.at.origin(),
                };
                self.strategy(*strategy, |doc, _| {
                    signal.symbol = doc.symbol(*market).unwrap_or_default().to_owned();
                    doc.signals.insert(*market, signal.clone());
                    Ok(())
                })?;
                self.out.facts.signals.push(signal);
                Ok(())
            }
            Event::AccountOpened { account, follower } => self.opened(emitter, *account, *follower),
            Event::MandateAccepted { account, bounds } => self.account(emitter, *account, |doc, at| {
                let mut bounds = (**bounds).clone();
                bounds.accepted_at = at.block.time;
                let mandate_hash = bounds.mandate_hash;
                doc.bounds = Some(bounds);
                Ok(Some(AccountEvent::MandateAccepted { mandate_hash }))
            }),
            Event::StatusChanged { account, status } => self.status(emitter, *account, *status),
            Event::Deposited { account, amount } => {
                let index = self.margin_index(emitter)?;
                self.account(emitter, *account, |doc, _| {
                    doc.deposited = add(doc.deposited, *amount, "deposits")?;
                    credit(doc, *amount, index)?;
                    Ok(Some(AccountEvent::Deposited { amount: *amount }))
                })
            }
            Event::Withdrawn {
                account,
                amount,
                debited,
            } => {
                let index = self.margin_index(emitter)?;
                self.account(emitter, *account, |doc, _| {
                    doc.withdrawn = add(doc.withdrawn, *amount, "withdrawals")?;
                    debit(doc, *debited, index)?;
                    Ok(Some(AccountEvent::Withdrawn {
                        amount: *amount,
                        debited: *debited,
                    }))
                })
            }
            Event::PerformanceFee {
                account,
                profit,
                fee,
                high_water_mark,
            } => {
                let index = self.margin_index(emitter)?;
                self.account(emitter, *account, |doc, _| {
                    doc.performance_fees = add(doc.performance_fees, *fee, "performance fees")?;
                    doc.high_water_mark = Some(*high_water_mark);
                    debit(doc, *fee, index)?;
                    Ok(Some(AccountEvent::PerformanceFee {
                        profit: *profit,
                        fee: *fee,
                        high_water_mark: *high_water_mark,
                    }))
                })?;
                let id = self.strategy_of(emitter)?;
                self.tally(id, |tally| {
                    tally.performance_fees = add(tally.performance_fees, *fee, "performance fees")?;
                    tally.charges += 1;
                    Ok(())
                })
            }
            Event::QuoteSwept {
                account,
                market,
                amount,
            } => {
                let index = self.margin_index(emitter)?;
                self.account(emitter, *account, |doc, _| {
                    if let Some(position) = doc.positions.get_mut(market) {
                        position.quote = sub(position.quote, *amount, "quote balance")?;
                        if position.is_empty() {
                            doc.positions.remove(market);
                        }
                    }
                    if amount.0 >= 0 {
                        credit(doc, *amount, index)?;
                    } else {
                        debit(doc, Usdc(-amount.0), index)?;
                    }
                    Ok(Some(AccountEvent::QuoteSwept {
                        market: *market,
                        amount: *amount,
                    }))
                })
            }
            Event::AccountLiquidated {
                account,
                liquidator,
                reward,
                to_insurance,
            } => {
                let index = self.margin_index(emitter)?;
                self.account(emitter, *account, |doc, _| {
                    // One debit, as the vault books it: two would round twice.
                    debit(doc, add(*reward, *to_insurance, "penalty")?, index)?;
                    Ok(Some(AccountEvent::Liquidated {
                        liquidator: *liquidator,
                        reward: *reward,
                        to_insurance: *to_insurance,
                    }))
                })
            }
            Event::BadDebt {
                account,
                amount,
                insured,
                socialised,
                margin_index,
            } => self.bad_debt(
                emitter,
                *account,
                *margin_index,
                AccountEvent::BadDebt {
                    amount: *amount,
                    insured: *insured,
                    socialised: *socialised,
                },
            ),
            Event::Batch(batch) => self.batch(emitter, batch),
            Event::Filled(filled) => self.filled(emitter, filled),
            Event::Nav {
                index,
                time,
                nav_index,
                total_equity,
            } => self.nav(emitter, *index, *time, *nav_index, *total_equity),
            Event::VenueDiverged(change) => self.diverged(emitter, change),
        }
    }

    fn registered(&mut self, event: &Event) -> Done {
        let Event::StrategyRegistered {
            strategy,
            master,
            venue,
            source,
            name,
            markets,
            terms,
        } = event
        else {
            return Ok(());
        };
        let mut listed = Vec::new();
        self.system(|system, _| {
            system.strategies += 1;
            listed = markets
                .iter()
                .map(|id| {
                    system
                        .listings
                        .iter()
                        .find(|listing| listing.venue == *venue && listing.listing_id == *id)
                        .cloned()
                        .ok_or(*id)
                })
                .collect();
            Ok(())
        })?;
        let markets = listed
            .into_iter()
            .map(|listing| match listing {
                Ok(listing) => Ok(MarketDoc {
                    listing_id: listing.listing_id,
                    symbol: listing.symbol,
                    venue_market: listing.venue_market,
                }),
                Err(id) => Err(self
                    .at
                    .gap(format!("listing {id} of venue {venue} was never announced"))),
            })
            .collect::<Done<Vec<_>>>()?;
        let key = Key::Strategy(*strategy);
        if self.take(key)?.is_some() {
            return Err(self.at.gap(format!("strategy {strategy} was registered before")));
        }
        self.out.strategies.insert(*strategy);
        let document = StrategyDoc {
            id: *strategy,
            name: name.clone(),
            master: *master,
            venue: *venue,
            source: *source,
            shards: Vec::new(),
            markets,
            terms: terms.clone(),
            pending_terms: None,
            registered_at: self.at.block.time,
            registered_block: self.at.block.number,
            followers: 0,
            accounts: 0,
            nav_index: Wad(WAD),
            total_equity: Usdc::ZERO,
            points: 0,
            nav_time: None,
            signals: Default::default(),
        };
        self.put(key, Document::Strategy(Box::new(document)));
        Ok(())
    }

    fn vault_created(&mut self, strategy: StrategyId, vault: Address) -> Done {
        self.strategy(strategy, |doc, _| {
            doc.shards.push(Shard {
                vault,
                nav_index: Wad(WAD),
                total_equity: Usdc::ZERO,
                points: 0,
            });
            Ok(())
        })?;
        let key = Key::Vault(vault);
        if self.take(key)?.is_some() {
            return Err(self.at.gap(format!("vault {vault} was created before")));
        }
        let document = VaultDoc {
            vault,
            strategy,
            points: 0,
            batches: 0,
            margin_index: Wad(WAD),
            marks: Default::default(),
        };
        self.put(key, Document::Vault(document));
        self.deriver.vaults.insert(vault, strategy);
        Ok(())
    }

    fn opened(&mut self, vault: Address, account: u32, follower: Address) -> Done {
        let strategy = self.strategy_of(vault)?;
        let key = Key::Account(vault, account);
        if self.take(key)?.is_some() {
            return Err(self
                .at
                .gap(format!("account {account} of {vault} was opened before")));
        }
        let time = self.at.block.time;
        let document = AccountDoc {
            vault,
            account,
            strategy,
            follower,
            status: AccountStatus::Active,
            bounds: None,
            opened_at: time,
            touched_at: time,
            margin_shares: Usdc::ZERO,
            deposited: Usdc::ZERO,
            withdrawn: Usdc::ZERO,
            high_water_mark: None,
            fees: Usdc::ZERO,
            performance_fees: Usdc::ZERO,
            volume: Usdc::ZERO,
            slippage_cost: Usdc::ZERO,
            fills: 0,
            skips: 0,
            closed: Closed::default(),
            positions: Default::default(),
        };
        self.out.followers.insert(follower);
        self.enter(&document, AccountEvent::Opened);
        self.put(key, Document::Account(Box::new(document)));
        self.system(|system, _| {
            system.accounts += 1;
            Ok(())
        })?;
        self.strategy(strategy, |doc, _| {
            doc.accounts += 1;
            doc.followers += 1;
            Ok(())
        })
    }

    fn status(&mut self, vault: Address, account: u32, status: AccountStatus) -> Done {
        let mut before = status;
        self.account(vault, account, |doc, _| {
            before = std::mem::replace(&mut doc.status, status);
            Ok(Some(AccountEvent::StatusChanged { status }))
        })?;
        let active = |status| status == AccountStatus::Active;
        if active(before) == active(status) {
            return Ok(());
        }
        let id = self.strategy_of(vault)?;
        self.strategy(id, |doc, _| {
            doc.followers = if active(status) {
                doc.followers + 1
            } else {
                doc.followers.saturating_sub(1)
            };
            Ok(())
        })
    }

    fn bad_debt(&mut self, vault: Address, account: u32, margin_index: Wad, event: AccountEvent) -> Done {
        let mut document = self.take_vault(vault)?;
        document.margin_index = margin_index;
        self.put(Key::Vault(vault), Document::Vault(document));
        // A loss at the venue itself is nobody's: the vault names account 0.
        if account == 0 {
            return Ok(());
        }
        self.account(vault, account, |doc, _| {
            // The vault has swept what the margin could pay; the rest is written off.
            doc.positions.retain(|_, position| position.size.0 != 0);
            Ok(Some(event))
        })
    }

    // -------------------------------------------------------------------------------------------- trades

    fn batch(&mut self, vault: Address, event: &BatchEvent) -> Done {
        let origin = self.at.origin();
        let over = self.at.over();
        let mut document = self.take_vault(vault)?;
        if event.batch_id != document.batches + 1 {
            let expected = document.batches + 1;
            return Err(self.at.gap(format!(
                "batch {} of {vault} came, expected {expected}",
                event.batch_id
            )));
        }
        document.batches = event.batch_id;
        document.marks.insert(
            event.market,
            Mark {
                price: event.index_price,
                time: origin.time,
            },
        );
        let id = document.strategy;
        self.put(Key::Vault(vault), Document::Vault(document));

        let mut symbol = String::new();
        self.strategy(id, |doc, _| {
            symbol = doc.symbol(event.market).unwrap_or_default().to_owned();
            Ok(())
        })?;
        let delay_ms =
            math::signed_gap(origin.time.saturating_mul(1_000), event.observed_at_ms).map_err(&over)?;
        let mut batch = Batch {
            strategy_id: id,
            vault,
            batch_id: event.batch_id,
            market: event.market,
            symbol,
            sequence: event.sequence,
            leverage: event.leverage,
            observed_at_ms: event.observed_at_ms,
            delay_ms,
            index_price: event.index_price,
            fill_price: event.fill_price,
            slippage_bps: math::slippage_bps(event.net_size, event.fill_price, event.index_price)
                .map_err(&over)?,
            net_size: event.net_size,
            crossed_size: event.crossed_size,
            venue_fee: event.venue_fee,
            copy_fee: event.copy_fee,
            volume: Usdc::ZERO,
            moved: 0,
            skipped: 0,
            origin,
        };
        let mut sums = Tally {
            batches: 1,
            delay_ms,
            max_delay_ms: Some(delay_ms),
            ..Tally::default()
        };
        for (line, fill) in (0u32..).zip(&event.fills) {
            let cause = FillCause::Batch {
                batch_id: event.batch_id,
                outcome: fill.outcome,
                delay_ms,
            };
            let trade = Trade {
                account: fill.account,
                market: event.market,
                cause,
                size: fill.size_delta,
                quote: fill.quote_delta,
                fee: fill.fee,
                price: event.fill_price,
                index: event.index_price,
                funding_index: event.funding_index,
            };
            sums.named += 1;
            if fill.outcome.traded() {
                batch.moved += 1;
                sums.moved += 1;
            } else {
                batch.skipped += 1;
            }
            let row = self.trade(vault, id, &batch.symbol, &trade, &mut sums)?;
            batch.volume = add(batch.volume, row.notional, "volume").map_err(&over)?;
            if row.notional.0 != 0 {
                let cost = math::slippage_cost(row.size_delta, row.price, row.index_price).map_err(&over)?;
                sums.slippage_cost = add(sums.slippage_cost, cost, "slippage").map_err(&over)?;
            }
            self.out.facts.fills.push((line, row));
        }
        sums.batch_volume = batch.volume;
        self.out.facts.batches.push(batch);
        self.tally(id, |tally| absorb(tally, &sums))
    }

    fn filled(&mut self, vault: Address, event: &FilledEvent) -> Done {
        let mut document = self.take_vault(vault)?;
        document.marks.insert(
            event.market,
            Mark {
                price: event.index_price,
                time: self.at.block.time,
            },
        );
        let id = document.strategy;
        self.put(Key::Vault(vault), Document::Vault(document));
        let mut symbol = String::new();
        self.strategy(id, |doc, _| {
            symbol = doc.symbol(event.market).unwrap_or_default().to_owned();
            Ok(())
        })?;
        let trade = Trade {
            account: event.account,
            market: event.market,
            cause: match event.cause {
                Cause::Exit => FillCause::Exit,
                Cause::StopLoss => FillCause::StopLoss,
                Cause::TakeProfit => FillCause::TakeProfit,
                Cause::Liquidation => FillCause::Liquidation,
            },
            size: event.size_delta,
            quote: event.quote_delta,
            fee: event.fee,
            price: event.fill_price,
            index: event.index_price,
            funding_index: event.funding_index,
        };
        let mut sums = Tally::default();
        let row = self.trade(vault, id, &symbol, &trade, &mut sums)?;
        self.out.facts.fills.push((0, row));
        self.tally(id, |tally| absorb(tally, &sums))
    }

    /// Moves the account and makes the row; adds to `sums` what is summed by day.
    fn trade(
        &mut self,
        vault: Address,
        strategy: StrategyId,
        symbol: &str,
        trade: &Trade,
        sums: &mut Tally,
    ) -> Done<Fill> {
        let over = self.at.over();
        let moved = trade.size.0 != 0;
        let notional = math::notional(trade.size, trade.price).map_err(&over)?;
        let mut row = Fill {
            strategy_id: strategy,
            vault,
            account: trade.account,
            follower: None,
            market: trade.market,
            symbol: symbol.to_owned(),
            cause: trade.cause,
            size_delta: trade.size,
            quote_delta: trade.quote,
            fee: trade.fee,
            price: trade.price,
            index_price: trade.index,
            slippage_bps: math::slippage_bps(trade.size, trade.price, trade.index).map_err(&over)?,
            notional,
            position: Size::ZERO,
            realised: Usdc::ZERO,
            origin: self.at.origin(),
        };
        let key = Key::Account(vault, trade.account);
        let account = match self.take(key)? {
            Some(Document::Account(account)) => account,
            _ => {
                // A batch may name an index that has no account; it cannot have moved it.
                let nobody = matches!(
                    trade.cause,
                    FillCause::Batch {
                        outcome: fills::Outcome::Inactive,
                        ..
                    }
                );
                if nobody && !moved {
                    return Ok(row);
                }
                return Err(self
                    .at
                    .gap(format!("account {} of {vault} was never opened", trade.account)));
            }
        };
        let mut account = account;
        row.follower = Some(account.follower);
        self.out.followers.insert(account.follower);
        let time = self.at.block.time;
        if !moved && trade.quote.0 == 0 {
            account.skips += 1;
            row.position = account
                .positions
                .get(&trade.market)
                .map_or(Size::ZERO, |position| position.size);
        } else {
            account.touched_at = time;
            let position = account.positions.entry(trade.market).or_default();
            let effect =
                position::fill(position, trade.size, trade.quote, trade.price, time).map_err(&over)?;
            row.position = position.size;
            row.realised = effect.realised;
            (position.funding_index, position.unchanged) = (trade.funding_index, None);
            if position.is_empty() {
                account.positions.remove(&trade.market);
            }
            if let Some(result) = effect.closed {
                count_closed(&mut account.closed, result).map_err(&over)?;
                count_closed(&mut sums.closed, result).map_err(&over)?;
            }
            let cost = math::slippage_cost(trade.size, trade.price, trade.index).map_err(&over)?;
            account.fills += 1;
            account.fees = add(account.fees, trade.fee, "fees").map_err(&over)?;
            account.volume = add(account.volume, notional, "volume").map_err(&over)?;
            account.slippage_cost = add(account.slippage_cost, cost, "slippage").map_err(&over)?;
            sums.fills += 1;
            sums.fees = add(sums.fees, trade.fee, "fees").map_err(&over)?;
            sums.volume = add(sums.volume, notional, "volume").map_err(&over)?;
        }
        self.put(key, Document::Account(account));
        Ok(row)
    }

    /// A change the venue made itself. The vault applies it to each position when it next touches it; here it is applied
    /// to all at once, to the same result.
    fn diverged(&mut self, vault: Address, change: &Change) -> Done {
        let id = self.strategy_of(vault)?;
        let mut accounts: Vec<u32> = self
            .deriver
            .cache
            .iter()
            .filter_map(|(key, slot)| match (key, &slot.document) {
                (Key::Account(of, account), Some(Document::Account(document))) if *of == vault => {
                    let position = document.positions.get(&change.market)?;
                    position::concerns(position, change).then_some(*account)
                }
                _ => None,
            })
            .collect();
        accounts.sort_unstable();
        let mut sums = Tally::default();
        for account in accounts {
            let mut counted = Ok(());
            self.account(vault, account, |doc, at| {
                let Some(position) = doc.positions.get_mut(&change.market) else {
                    return Ok(None);
                };
                let before = position.clone();
                let effect = position::change(position, change, at.block.time)?;
                let (after, cash) = (position.size, sub(position.quote, before.quote, "quote balance")?);
                if let Some(result) = effect.closed {
                    count_closed(&mut doc.closed, result)?;
                    counted = count_closed(&mut sums.closed, result);
                }
                let told = after != before.size || cash.0 != 0;
                Ok(told.then_some(AccountEvent::VenueDiverged {
                    market: change.market,
                    before: before.size,
                    after,
                    cash,
                }))
            })?;
            counted.map_err(self.at.over())?;
        }
        self.tally(id, |tally| absorb(tally, &sums))
    }

    // -------------------------------------------------------------------------------------------- NAV

    fn nav(&mut self, vault: Address, index: u64, time: u64, nav_index: Wad, total_equity: Usdc) -> Done {
        let over = self.at.over();
        let mut document = self.take_vault(vault)?;
        if index != document.points {
            let expected = document.points;
            return Err(self
                .at
                .gap(format!("NAV point {index} of {vault} came, expected {expected}")));
        }
        document.points += 1;
        let id = document.strategy;
        self.put(Key::Vault(vault), Document::Vault(document));

        let mut strategy_index = 0;
        let mut strategy_nav = Wad::ZERO;
        let mut strategy_equity = Usdc::ZERO;
        let mut found = false;
        self.strategy(id, |doc, _| {
            let total = doc.shards.iter().try_fold(Usdc::ZERO, |sum, shard| {
                add(sum, shard.total_equity, "strategy equity")
            })?;
            let alone = doc.shards.len() == 1;
            let current = doc.nav_index;
            let Some(shard) = doc.shards.iter_mut().find(|shard| shard.vault == vault) else {
                return Ok(());
            };
            found = true;
            let chained = math::chained(current, total, shard.total_equity, shard.nav_index, nav_index)?;
            // With one shard the record is the vault's own, whatever its first points weigh.
            let next = if alone {
                nav_index
            } else {
                chained.unwrap_or(current)
            };
            doc.total_equity = add(
                sub(total, shard.total_equity, "equity")?,
                total_equity,
                "strategy equity",
            )?;
            shard.nav_index = nav_index;
            shard.total_equity = total_equity;
            shard.points = index + 1;
            doc.nav_index = next;
            doc.nav_time = Some(time);
            strategy_index = doc.points;
            doc.points += 1;
            (strategy_nav, strategy_equity) = (next, doc.total_equity);
            Ok(())
        })?;
        if !found {
            return Err(self.at.gap(format!("vault {vault} is no shard of strategy {id}")));
        }

        for (series, index, nav) in [
            (SeriesKey::Vault(vault), index, nav_index),
            (SeriesKey::Strategy(id), strategy_index, strategy_nav),
        ] {
            let point = BucketPoint { index, time, nav };
            for key in [
                Key::Hour(series, time / nav::HOUR),
                Key::Day(series, time / nav::DAY),
            ] {
                let before: Option<NavBucket> = match self.take(key)? {
                    Some(Document::Bucket(bucket)) => Some(*bucket),
                    _ => None,
                };
                let bucket = nav::extend(before.as_ref(), point).map_err(&over)?;
                self.put(key, Document::Bucket(Box::new(bucket)));
            }
        }
        self.out.facts.nav.push(NavRow {
            vault,
            index,
            strategy: id,
            strategy_index,
            time,
            nav_index,
            total_equity,
            strategy_nav_index: strategy_nav,
            strategy_equity,
            origin: self.at.origin(),
        });
        Ok(())
    }
}

/// Adds to the margin, rounded down as the vault does.
fn credit(account: &mut AccountDoc, amount: Usdc, index: Wad) -> Result<(), Overflow> {
    let shares = Usdc(math::shares(amount, index, false)?);
    account.margin_shares = add(account.margin_shares, shares, "margin")?;
    Ok(())
}

/// Takes from the margin, rounded up, at most all of it, as the vault does.
fn debit(account: &mut AccountDoc, amount: Usdc, index: Wad) -> Result<(), Overflow> {
    let shares = Usdc(math::shares(amount, index, true)?).min(account.margin_shares);
    account.margin_shares = sub(account.margin_shares, shares, "margin")?;
    Ok(())
}

fn count_closed(closed: &mut Closed, result: Usdc) -> Result<(), Overflow> {
    closed.count += 1;
    if result.0 > 0 {
        closed.wins += 1;
        closed.profit = add(closed.profit, result, "profit")?;
    } else {
        closed.loss = sub(closed.loss, result, "loss")?;
    }
    Ok(())
}

/// Adds two sums.
pub(super) fn absorb(tally: &mut Tally, more: &Tally) -> Result<(), Overflow> {
    tally.closed.count += more.closed.count;
    tally.closed.wins += more.closed.wins;
    tally.closed.profit = add(tally.closed.profit, more.closed.profit, "profit")?;
    tally.closed.loss = add(tally.closed.loss, more.closed.loss, "loss")?;
    tally.volume = add(tally.volume, more.volume, "volume")?;
    tally.fees = add(tally.fees, more.fees, "fees")?;
    tally.fills += more.fills;
    tally.performance_fees = add(tally.performance_fees, more.performance_fees, "performance fees")?;
    tally.charges += more.charges;
    tally.batches += more.batches;
    tally.named += more.named;
    tally.moved += more.moved;
    tally.batch_volume = add(tally.batch_volume, more.batch_volume, "volume")?;
    tally.slippage_cost = add(tally.slippage_cost, more.slippage_cost, "slippage")?;
    tally.delay_ms = tally
        .delay_ms
        .checked_add(more.delay_ms)
        .ok_or(Overflow("delay"))?;
    tally.max_delay_ms = tally.max_delay_ms.max(more.max_delay_ms);
    Ok(())
}
