/** One account: what it has come to, where it stands, its bounds, and what its owner can do. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { getAddress } from 'viem';
import type { Schemas } from '../../api/client';
import { useQuery } from '../../api/query';
import type { Deployment } from '../../chain/deployment';
import { readLiveAccount, type LiveAccount } from '../../chain/read';
import type { Mine } from '../../session/me';
import { BPS, USDC, WAD, bpsMultiple, bpsPercent, divide, fromApi, pow10, usdc } from '../../units/amount';
import { STATUSES } from '../../units/words';
import type { ConnectedWallet } from '../../wallet/wallet';
import { Explain } from '../../ui/explain';
import { Fact, Figure, None, Percent, Price, Side, Size, StatisticFigure, Time, Usdc } from '../../ui/figures';
import { Dialog, Tag, type Tone } from '../../ui/parts';
import { WalletGate } from '../../ui/wallet';
import { ExitForm } from './exit';
import { StopForm, WithdrawForm } from './intents';
import { NameAccount } from './name';

type Account = Schemas['AccountWithResult'];

const STATUS_TONE: Readonly<Record<string, Tone>> = { active: 'good', stopped: 'warn', 'stopped-out': 'warn', liquidated: 'bad' };

interface CardProps {
  readonly account: Account;
  readonly wallet: ConnectedWallet | undefined;
  readonly deployment: Deployment | undefined;
  readonly mine: Mine;
  readonly turn: number;
  readonly refresh: () => void;
}

type Action = 'stop' | 'withdraw' | 'exit';

export function AccountCard({ account, wallet, deployment, mine, turn, refresh }: CardProps): JSX.Element {
  const [action, setAction] = useState<Action>();
  const live = useQuery(
    deployment?.rpcUrl ? `${account.id}:${turn}` : undefined,
    () => readLiveAccount(deployment as Deployment, getAddress(account.vault), account.account),
    { keep: true, everyMs: 15_000 },
  );
  const status = STATUSES[account.status] ?? { short: account.status, long: account.status };
  const { result, mandate } = account;
  const label = mine.labelOf(account.vault);
  const close = (): void => {
    setAction(undefined);
    refresh();
    live.refresh();
    mine.refresh();
  };
  return (
    <section class="sheet account" aria-labelledby={`account-${account.id}`}>
      <div class="pad spread">
        <div class="names">
          <h2 id={`account-${account.id}`}>
            <a class="lead" href={`/strategies/${account.strategyId}`}>
              {label ?? account.strategyName}
            </a>
          </h2>
          <div class="row small quiet">
            {label !== undefined && <span class="anywhere">{account.strategyName}</span>}
            <Tag {...(STATUS_TONE[account.status] ? { tone: STATUS_TONE[account.status] as Tone } : {})}>
              <Explain tip={status.long}>{status.short}</Explain>
            </Tag>
            <span>account {account.account}</span>
            <span>
              since <Time of={account.openedAt} dateOnly />
            </span>
            {mine.data !== undefined && <NameAccount vault={account.vault} label={label} strategyName={account.strategyName} changed={mine.refresh} />}
          </div>
        </div>
        {wallet !== undefined && (
          <div class="row">
            <a class="button small" href={`/strategies/${account.strategyId}/follow?vault=${account.vault}`}>
              {account.status === 'active' ? 'Add or change bounds' : 'Follow again'}
            </a>
            <button type="button" class="button small" onClick={() => setAction('withdraw')}>
              Withdraw
            </button>
            {account.status === 'active' && (
              <button type="button" class="button small grave" onClick={() => setAction('stop')}>
                Stop
              </button>
            )}
          </div>
        )}
      </div>

      <dl class="figures fewer">
        <Figure label="Equity" tip={<EquityTip live={live.data} />}>
          {live.data !== undefined ? <Usdc of={live.data.equity} /> : account.equity ? <Usdc of={account.equity} /> : <None why="no index price seen yet" />}
        </Figure>
        <StatisticFigure label="Result" of={result.profit} coloured sign reason />
        <Figure label="Simple return" tip="Result ÷ all deposits, whenever they were made. The money-weighted return beside it counts when each was made, as a year’s rate.">
          <SimpleReturn profit={result.profit.value} deposited={account.deposited} />
        </Figure>
        <StatisticFigure label="Money-weighted" of={result.moneyWeightedReturn} coloured sign reason />
        <StatisticFigure label="Strategy’s return" of={result.strategyReturn} coloured sign reason />
        <Figure label="Net deposits" tip="All deposits − all withdrawals.">
          <Usdc of={account.netDeposits} />
        </Figure>
        <Figure label="Margin" tip="Deposits, less withdrawals, with realised results and fees: the account’s entry in the ledger.">
          <Usdc of={account.margin} />
        </Figure>
        <Figure label="Free" tip="What could be withdrawn now without breaking your leverage bound or the venue’s margin.">
          {live.data === undefined ? <None why="not read from the chain yet" /> : <Usdc of={live.data.free} />}
        </Figure>
        <Figure label="Fees paid" tip="Copy fees, venue fees and performance fees together.">
          <Usdc of={fromApi(account.fees, USDC) + fromApi(account.performanceFees, USDC)} />
        </Figure>
      </dl>

      <div class="pad halves">
        <div>
          <h3>Positions</h3>
          {account.positions.length === 0 ? (
            <p class="quiet">No open position.</p>
          ) : (
            <dl class="facts">
              {account.positions.map((position) => (
                <div key={position.market}>
                  <dt>
                    <span class="ink">{position.symbol}</span> <Side of={position.size} />
                    <div class="small">
                      {position.averageEntry ? (
                        <>
                          entered at <Price of={position.averageEntry} />
                        </>
                      ) : (
                        'entry unknown'
                      )}
                    </div>
                  </dt>
                  <dd>
                    <Size of={position.size} symbol={position.symbol} sign />
                    <div class="small">
                      {position.value ? <Usdc of={position.value} coloured sign /> : <None why="no index price seen yet" />} <span class="quiet">open result</span>
                    </div>
                  </dd>
                </div>
              ))}
            </dl>
          )}
          <h3 class="next">Gap to the master</h3>
          <dl class="facts">
            {(
              [
                ['Delay', result.gap.latency],
                ['Slippage', result.gap.slippage],
                ['Fees', result.gap.fees],
                ['Your bounds', result.gap.bounds],
              ] as const
            ).map(([label, statistic]) => (
              <StatisticFigure key={label} label={label} of={statistic} />
            ))}
          </dl>
        </div>
        <div>
          <h3>Your bounds</h3>
          {!mandate ? (
            <p class="quiet">No mandate in force.</p>
          ) : (
            <dl class="facts">
              <Fact label="Size of each move">
                {mandate.mode === 'fixed' ? <Usdc of={mandate.fixedNotional} /> : `${bpsMultiple(mandate.ratioBps)} × the master’s leverage`}
              </Fact>
              <Fact label="Most leverage">{bpsMultiple(mandate.maxLeverageBps)} ×</Fact>
              <Fact label="Most slippage">{bpsPercent(mandate.maxSlippageBps)} %</Fact>
              <Fact label="Largest position per market">
                <Usdc of={mandate.maxPositionNotional} digits={0} />
              </Fact>
              <Fact label="Most turnover per day">
                <Usdc of={mandate.maxDailyTurnover} digits={0} />
              </Fact>
              <Fact label="Worst loss per day by bad fills" tip="Most slippage × most turnover per day.">
                <Usdc of={(fromApi(mandate.maxDailyTurnover, USDC) * BigInt(mandate.maxSlippageBps)) / 10n ** BigInt(BPS)} />
              </Fact>
              <Fact label="Stop-loss">{mandate.stopLossBps === 0 ? 'none' : `${bpsPercent(mandate.stopLossBps)} %`}</Fact>
              <Fact label="Take-profit">{mandate.takeProfitBps === 0 ? 'none' : `${bpsPercent(mandate.takeProfitBps)} %`}</Fact>
              <Fact label="Markets">{mandate.allowedMarkets.join(', ')}</Fact>
              <Fact label="Valid until">
                <Time of={mandate.expiresAt} />
                {Date.parse(mandate.expiresAt) < Date.now() && <span class="loss"> expired</span>}
              </Fact>
            </dl>
          )}
        </div>
      </div>

      {wallet !== undefined && (
        <div class="pad escape">
          <div>
            <h3>Exit without Lockstep</h3>
            <p class="small quiet">
              The way out that needs nobody: your own wallet calls the vault, which closes everything of yours at the venue and pays
              you, even if this service, its relay and its keeper are all gone. You pay the gas yourself.
            </p>
          </div>
          <button type="button" class="button small grave" onClick={() => setAction('exit')}>
            Exit on my own…
          </button>
        </div>
      )}

      {wallet !== undefined && deployment !== undefined && (
        <>
          <Dialog title={`Stop following ${account.strategyName}`} open={action === 'stop'} close={close}>
            <WalletGate deployment={deployment} why="Connect your wallet.">
              {(ready) => <StopForm account={account} wallet={ready} deployment={deployment} done={close} />}
            </WalletGate>
          </Dialog>
          <Dialog title="Withdraw" open={action === 'withdraw'} close={close}>
            <WalletGate deployment={deployment} why="Connect your wallet.">
              {(ready) => <WithdrawForm account={account} wallet={ready} deployment={deployment} live={live.data} done={close} />}
            </WalletGate>
          </Dialog>
          <Dialog title="Exit without Lockstep" open={action === 'exit'} close={close}>
            <WalletGate deployment={deployment} why="Connect your wallet.">
              {(ready) => <ExitForm vault={account.vault} wallet={ready} deployment={deployment} done={close} />}
            </WalletGate>
          </Dialog>
        </>
      )}
    </section>
  );
}

function SimpleReturn({ profit, deposited }: { readonly profit: string | null; readonly deposited: string }): JSX.Element {
  const base = fromApi(deposited, USDC);
  if (profit === null || base === 0n) return <None why="no index price seen yet" />;
  return <Percent of={divide(fromApi(profit, USDC) * pow10(WAD), base)} coloured sign />;
}

function EquityTip({ live }: { readonly live: LiveAccount | undefined }): JSX.Element {
  return (
    <>
      Margin + value of open positions at the venue’s index prices.{' '}
      {live === undefined
        ? 'From the indexer; the chain has not been read.'
        : `Read from the vault itself (equityOf) at block ${live.block}. It would be liquidated below ${usdc(live.maintenance)} USDC.`}
    </>
  );
}
