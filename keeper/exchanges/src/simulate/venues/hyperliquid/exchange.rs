//! What is signed: `POST /exchange` and actions over the socket.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::info::{request_cap, traded};
use super::signing::{Field, SignatureParts, Tree, action_signer, wallet_signer};
use super::{Hyperliquid, PRICE_DECIMALS, id, print, zero_or};
use crate::model::{
    Decimal, MarginMode, Order, OrderKind, OrderStatus, PositionSide, Side, Text, TimeInForce, TriggerPrice,
};
use crate::operation::{ConditionalOrder, NewOrder, OrderRef};
use crate::simulate::engine::{Engine, Quote, Reject};
use crate::simulate::wire::Wire as _;

/// Nonces of a signer the venue remembers.
const NONCES: usize = 100;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The body cannot be read.
pub(super) struct Unreadable;

#[derive(Deserialize)]
struct Signed<'a> {
    #[serde(borrow)]
    action: &'a RawValue,
    nonce: u64,
    signature: SignatureParts,
    #[serde(default, rename = "vaultAddress")]
    vault: Option<String>,
    #[serde(default, rename = "expiresAfter")]
    expires_after: Option<u64>,
}

#[derive(Deserialize)]
struct Post<'a> {
    #[serde(borrow)]
    request: PostRequest<'a>,
}

#[derive(Deserialize)]
struct PostRequest<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The payload of a socket's message, as it was sent.
pub(super) fn payload_of(text: &str) -> Option<&str> {
    serde_json::from_str::<Post<'_>>(text)
        .ok()
        .map(|post| post.request.payload.get())
}

#[derive(Deserialize)]
struct OrderWire {
    a: u32,
    b: bool,
    p: String,
    s: String,
    #[serde(default)]
    r: bool,
    t: TypeWire,
    #[serde(default)]
    c: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TypeWire {
    Limit {
        tif: String,
    },
    Trigger {
        #[serde(rename = "isMarket")]
        is_market: bool,
        #[serde(rename = "triggerPx")]
        trigger_px: String,
        tpsl: String,
    },
}

#[derive(Deserialize)]
struct ModifyWire {
    oid: Value,
    order: OrderWire,
}

pub(super) fn err(message: &str) -> Value {
    json!({ "status": "err", "response": message })
}

fn done() -> Value {
    json!({ "status": "ok", "response": { "type": "default" } })
}

fn statuses(kind: &str, statuses: Vec<Value>) -> Value {
    json!({ "status": "ok", "response": { "type": kind, "data": { "statuses": statuses } } })
}

fn quote_at(engine: &Engine, asset: u32) -> Option<&Quote> {
    engine
        .quotes()
        .find(|quote| quote.instrument.number == Some(asset))
}

/// An order by what stands for it: a number, or the owner's id.
fn reference(oid: &Value) -> OrderRef {
    match oid {
        Value::String(client_id) => OrderRef {
            client_order_id: Some(Text::new(client_id)),
            ..OrderRef::default()
        },
        number => OrderRef {
            order_id: Some(Text::from(number.to_string())),
            ..OrderRef::default()
        },
    }
}

/// At most five significant figures, unless it is whole, and no more decimals than six less those of the size.
fn price_fits(price: Decimal, lot: Decimal) -> bool {
    let price = price.normalize();
    let figures = price.mantissa().unsigned_abs().to_string().len();
    let most = PRICE_DECIMALS.saturating_sub(lot.normalize().scale());
    price.scale() == 0 || (figures <= 5 && price.scale() <= most)
}

fn taken(order: &Order) -> Value {
    let oid = id(&order.order_id);
    let mut value = if order.filled.is_zero() {
        json!({ "resting": { "oid": oid } })
    } else if order.status.is_final() {
        json!({ "filled": { "totalSz": print(order.filled).trim_end_matches(".0"), "avgPx": zero_or(order.average_price), "oid": oid } })
    } else {
        // What is left rests; the venue says only what was filled of orders that are done.
        json!({ "resting": { "oid": oid } })
    };
    if let (Some(client_id), Some(members)) = (&order.client_order_id, value.as_object_mut()) {
        for inner in members.values_mut() {
            inner["cloid"] = json!(client_id);
        }
    }
    value
}

impl Hyperliquid {
    /// Acts on a signed body; the answer, or that the body cannot be read.
    pub(super) fn exchange(&self, body: &str, engine: &mut Engine) -> Result<Value, Unreadable> {
        let signed: Signed<'_> = serde_json::from_str(body).map_err(|_| Unreadable)?;
        let tree: Tree = serde_json::from_str(signed.action.get()).map_err(|_| Unreadable)?;
        let action: Value = serde_json::from_str(signed.action.get()).map_err(|_| Unreadable)?;
        let kind = action["type"].as_str().ok_or(Unreadable)?.to_owned();
        if let "approveAgent" | "approveBuilderFee" = kind.as_str() {
            return Ok(self.wallet_action(&kind, &action, &signed, engine));
        }
        let signer = action_signer(
            tree,
            signed.nonce,
            signed.vault.as_deref(),
            signed.expires_after,
            &signed.signature,
        );
        let Some(signer) = signer else {
            return Ok(err("Failed to recover signer from signature."));
        };
        let owner = self
            .memory()
            .agents
            .get(&signer)
            .cloned()
            .or_else(|| engine.account(&signer).map(|account| account.key.clone()));
        let Some(owner) = owner else {
            return Ok(err(&format!("User or API Wallet {signer} does not exist.")));
        };
        if let Err(refusal) = self.check_nonce(&signer, signed.nonce, engine.now_ms()) {
            return Ok(err(&refusal));
        }
        if signed
            .expires_after
            .is_some_and(|expires| expires < engine.now_ms())
        {
            return Ok(err("Action expired."));
        }
        let user = match &signed.vault {
            None => owner,
            Some(vault) => {
                let vault = format!("0x{}", vault.trim_start_matches("0x").to_lowercase());
                if engine.account(&vault).is_none() {
                    return Ok(err(&format!("Vault not registered: {vault}")));
                }
                vault
            }
        };
        let cap = request_cap(engine, &user);
        let used = {
            let mut memory = self.memory();
            let used = memory.requests.entry(user.clone()).or_default();
            *used += 1;
            *used
        };
        // Cancels may go beyond the cap, so that an exhausted address can still get out.
        let cap = if kind.starts_with("cancel") {
            (cap + 100_000).min(cap * 2)
        } else {
            cap
        };
        if used > cap {
            return Ok(err(&format!(
                "Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded ${}. Place taker orders to free up 1 request per USDC traded.",
                traded(engine, &user).round_dp(2)
            )));
        }
        self.act(&kind, &action, &user, engine)
    }

    fn act(&self, kind: &str, action: &Value, user: &str, engine: &mut Engine) -> Result<Value, Unreadable> {
        match kind {
            "order" => {
                let orders: Vec<OrderWire> =
                    serde_json::from_value(action["orders"].clone()).map_err(|_| Unreadable)?;
                let children = action["grouping"] == json!("normalTpsl");
                let each = orders
                    .iter()
                    .enumerate()
                    .map(|(index, order)| {
                        let answer = self.place(user, order, engine);
                        // A child's own number is not told.
                        if children && index > 0 && answer.get("resting").is_some() {
                            json!("waitingForTrigger")
                        } else {
                            answer
                        }
                    })
                    .collect();
                Ok(statuses("order", each))
            }
            "modify" | "batchModify" => {
                let list = if kind == "modify" {
                    json!([action])
                } else {
                    action["modifies"].clone()
                };
                let modifies: Vec<ModifyWire> = serde_json::from_value(list).map_err(|_| Unreadable)?;
                let each: Vec<Value> = modifies
                    .iter()
                    .map(|modify| self.modify(user, modify, engine))
                    .collect();
                if kind == "batchModify" {
                    return Ok(statuses("order", each));
                }
                Ok(match each.first().and_then(|status| status["error"].as_str()) {
                    Some(refusal) => err(refusal),
                    None => done(),
                })
            }
            "cancel" | "cancelByCloid" => {
                let cancels = action["cancels"].as_array().ok_or(Unreadable)?;
                let each = cancels
                    .iter()
                    .map(|cancel| {
                        let (asset, oid) = if kind == "cancel" {
                            (&cancel["a"], &cancel["o"])
                        } else {
                            (&cancel["asset"], &cancel["cloid"])
                        };
                        match engine.cancel(user, &reference(oid)) {
                            Ok(_) => json!("success"),
                            Err(reject) => {
                                json!({ "error": format!("{} asset={asset}", self.reject(&reject).1) })
                            }
                        }
                    })
                    .collect();
                Ok(statuses("cancel", each))
            }
            "updateLeverage" => Ok(self.update_leverage(action, user, engine)),
            "updateIsolatedMargin" | "setReferrer" | "noop" => Ok(done()),
            "scheduleCancel" => Ok(err(&format!(
                "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: ${}.",
                traded(engine, user).round_dp(5)
            ))),
            _ => Err(Unreadable),
        }
    }

    fn check_nonce(&self, signer: &str, nonce: u64, now_ms: u64) -> Result<(), String> {
        if nonce < now_ms.saturating_sub(2 * DAY_MS) || nonce > now_ms + DAY_MS {
            return Err(format!("Invalid nonce: {nonce} is not near {now_ms}"));
        }
        let mut memory = self.memory();
        let known = memory.nonces.entry(signer.to_owned()).or_default();
        if known.contains(&nonce) {
            return Err(format!("Invalid nonce: duplicate nonce {nonce}"));
        }
        if known.len() >= NONCES && known.first().is_some_and(|lowest| nonce < *lowest) {
            return Err(format!("Invalid nonce: {nonce} is too low"));
        }
        known.insert(nonce);
        if known.len() > NONCES {
            known.pop_first();
        }
        Ok(())
    }

    /// Actions that the owner's own wallet signs, in a form it can show.
    fn wallet_action(&self, kind: &str, action: &Value, signed: &Signed<'_>, engine: &Engine) -> Value {
        let text = |name: &str| action[name].as_str().unwrap_or_default();
        let chain = text("hyperliquidChain");
        let nonce = action["nonce"].as_u64().unwrap_or(signed.nonce);
        let signer = if kind == "approveAgent" {
            wallet_signer(
                "HyperliquidTransaction:ApproveAgent(string hyperliquidChain,address agentAddress,string agentName,uint64 nonce)",
                &[
                    Field::Text(chain),
                    Field::Address(text("agentAddress")),
                    Field::Text(text("agentName")),
                    Field::Number(nonce),
                ],
                text("signatureChainId"),
                &signed.signature,
            )
        } else {
            wallet_signer(
                "HyperliquidTransaction:ApproveBuilderFee(string hyperliquidChain,string maxFeeRate,address builder,uint64 nonce)",
                &[
                    Field::Text(chain),
                    Field::Text(text("maxFeeRate")),
                    Field::Address(text("builder")),
                    Field::Number(nonce),
                ],
                text("signatureChainId"),
                &signed.signature,
            )
        };
        let Some(signer) = signer else {
            return err("Failed to recover signer from signature.");
        };
        if chain != "Mainnet" || engine.account(&signer).is_none() {
            return err(&format!("Must deposit before performing actions. User: {signer}"));
        }
        if let Err(refusal) = self.check_nonce(&signer, nonce, engine.now_ms()) {
            return err(&refusal);
        }
        if kind == "approveAgent" {
            self.memory()
                .agents
                .insert(text("agentAddress").to_lowercase(), signer);
        }
        done()
    }

    fn refuse(&self, reject: &Reject, asset: u32, engine: &Engine) -> Value {
        let message = match (reject, quote_at(engine, asset)) {
            (Reject::PostOnly, Some(quote)) => format!(
                "Post only order would have immediately matched, bbo was {}@{}.",
                quote.bid().normalize(),
                quote.ask().normalize()
            ),
            _ => self.reject(reject).1,
        };
        json!({ "error": format!("{message} asset={asset}") })
    }

    fn place(&self, user: &str, order: &OrderWire, engine: &mut Engine) -> Value {
        let asset = order.a;
        let result = match &order.t {
            TypeWire::Limit { tif } => self.place_limit(user, order, tif, engine),
            TypeWire::Trigger {
                is_market,
                trigger_px,
                tpsl,
            } => place_trigger(user, order, *is_market, trigger_px, tpsl, engine),
        };
        match result {
            Ok(order)
                if order.time_in_force == TimeInForce::ImmediateOrCancel
                    && order.status == OrderStatus::Cancelled
                    && order.filled.is_zero() =>
            {
                self.refuse(&Reject::FillOrKill, asset, engine)
            }
            Ok(order) => taken(&order),
            Err(refusal) => match refusal {
                Refusal::Engine(reject) => self.refuse(&reject, asset, engine),
                Refusal::Words(words) => json!({ "error": format!("{words} asset={asset}") }),
            },
        }
    }

    fn place_limit(
        &self,
        user: &str,
        order: &OrderWire,
        tif: &str,
        engine: &mut Engine,
    ) -> Result<Order, Refusal> {
        let quote = quote_at(engine, order.a).ok_or(Reject::UnknownInstrument)?;
        let price = price_of(&order.p, quote)?;
        let size: Decimal = order.s.parse().map_err(|_| Reject::Size)?;
        if size.is_zero() {
            return Err(Refusal::Words("Order has zero size."));
        }
        let wanted = NewOrder {
            instrument: quote.instrument.instrument.clone(),
            side: side(order.b),
            size,
            order_kind: OrderKind::Limit,
            price: Some(price),
            time_in_force: Some(match tif {
                "Ioc" | "FrontendMarket" => TimeInForce::ImmediateOrCancel,
                "Alo" => TimeInForce::PostOnly,
                _ => TimeInForce::GoodTilCancelled,
            }),
            reduce_only: order.r,
            position_side: PositionSide::Net,
            margin_mode: MarginMode::Cross,
            leverage: None,
            client_order_id: order.c.clone(),
        };
        Ok(engine.place(user, &wanted)?)
    }

    /// A changed order is a new one in the place of the old, with a number of its own.
    fn modify(&self, user: &str, modify: &ModifyWire, engine: &mut Engine) -> Value {
        let wanted = reference(&modify.oid);
        let known = engine
            .account(user)
            .and_then(|account| account.order(&wanted))
            .filter(|order| !order.status.is_final())
            .cloned();
        let Some(known) = known else {
            return json!({ "error": "Cannot modify canceled or filled order" });
        };
        if let Err(reject) = engine.cancel(user, &wanted) {
            return self.refuse(&reject, modify.order.a, engine);
        }
        if let Some(client_id) = &known.client_order_id {
            engine.release_client_id(user, client_id);
        }
        self.place(user, &modify.order, engine)
    }

    fn update_leverage(&self, action: &Value, user: &str, engine: &mut Engine) -> Value {
        let quote = action["asset"]
            .as_u64()
            .and_then(|asset| u32::try_from(asset).ok())
            .and_then(|asset| quote_at(engine, asset));
        let Some(quote) = quote else {
            return err("Asset does not exist.");
        };
        let instrument = quote.instrument.instrument.clone();
        let leverage = Decimal::from(action["leverage"].as_u64().unwrap_or_default());
        let most = quote.instrument.maximum_leverage.unwrap_or(Decimal::TEN);
        if leverage < Decimal::ONE || leverage > most {
            return err("Invalid leverage value");
        }
        let mode = if action["isCross"] == json!(true) {
            MarginMode::Cross
        } else {
            MarginMode::Isolated
        };
        let open = engine
            .positions(user)
            .iter()
            .any(|position| position.instrument == instrument);
        let Some(account) = engine.account_mut(user) else {
            return err("Must deposit before performing actions.");
        };
        let before = account.margin_modes.get(&instrument).copied().unwrap_or_default();
        if open && before != mode {
            return err(&self.reject(&Reject::NotFlat).1);
        }
        account.margin_modes.insert(instrument.clone(), mode);
        account.leverage.insert(instrument, leverage);
        done()
    }
}

enum Refusal {
    Engine(Reject),
    Words(&'static str),
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self::Engine(reject)
    }
}

const fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

fn price_of(text: &str, quote: &Quote) -> Result<Decimal, Refusal> {
    let price: Decimal = text.parse().map_err(|_| Reject::Price)?;
    if price <= Decimal::ZERO || !price_fits(price, quote.instrument.lot) {
        return Err(Refusal::Words("Order has invalid price."));
    }
    let off = (price - quote.price).abs();
    if off > quote.price * Decimal::new(8, 1) {
        return Err(Refusal::Words(
            "Order price cannot be more than 80% away from the reference price",
        ));
    }
    Ok(price)
}

fn place_trigger(
    user: &str,
    order: &OrderWire,
    is_market: bool,
    trigger: &str,
    tpsl: &str,
    engine: &mut Engine,
) -> Result<Order, Refusal> {
    let quote = quote_at(engine, order.a).ok_or(Reject::UnknownInstrument)?;
    let instrument = quote.instrument.instrument.clone();
    let price = price_of(&order.p, quote)?;
    let trigger_price: Decimal = trigger.parse().map_err(|_| Reject::WouldTrigger)?;
    if !price_fits(trigger_price, quote.instrument.lot) {
        return Err(Reject::WouldTrigger.into());
    }
    let order_kind = match (tpsl, is_market) {
        ("sl", true) => OrderKind::StopMarket,
        ("sl", false) => OrderKind::StopLimit,
        ("tp", true) => OrderKind::TakeProfitMarket,
        _ => OrderKind::TakeProfitLimit,
    };
    let mut size: Decimal = order.s.parse().map_err(|_| Reject::Size)?;
    if size.is_zero() && order.r {
        // Size zero is for the whole position.
        size = engine
            .positions(user)
            .iter()
            .find(|position| position.instrument == instrument)
            .map(|position| position.size.abs())
            .ok_or(Reject::ReduceOnly)?;
    }
    let wanted = ConditionalOrder {
        instrument,
        side: side(order.b),
        size,
        order_kind,
        trigger_price,
        trigger_by: TriggerPrice::Mark,
        price: Some(price),
        reduce_only: order.r,
        position_side: PositionSide::Net,
        margin_mode: MarginMode::Cross,
        client_order_id: order.c.clone(),
    };
    Ok(engine.place_conditional(user, &wanted)?)
}
