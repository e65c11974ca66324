import type { ComponentChildren, JSX } from 'preact';
import type { Schemas } from '../api/client';
import * as amount from '../units/amount';
import { duration, relative, utc, utcDate } from '../units/time';
import { useNow } from './hooks';
import { Explain } from './explain';

type Statistic = Schemas['Statistic'];

/** Shown where a figure is not defined. */
export function None({ why = 'not available' }: { readonly why?: string }): JSX.Element {
  return (
    <span class="quiet" title={why}>
      <span aria-hidden="true">–</span>
      <span class="sr">{why}</span>
    </span>
  );
}

function tone(value: bigint, coloured: boolean | undefined): string {
  return !coloured || value === 0n ? '' : value > 0n ? 'gain' : 'loss';
}

interface FigureProps {
  /** Decimal string from the API, or the raw integer. */
  readonly of: string | bigint;
  readonly sign?: boolean;
  readonly coloured?: boolean;
  readonly digits?: number;
}

function options({ sign, digits }: FigureProps): Partial<amount.Format> {
  return { ...(sign === undefined ? {} : { sign }), ...(digits === undefined ? {} : { digits }) };
}

const raw = (value: string | bigint, scale: number): bigint =>
  typeof value === 'bigint' ? value : amount.fromApi(value, scale);

export function Usdc(props: FigureProps): JSX.Element {
  const value = raw(props.of, amount.USDC);
  return (
    <span class={`nowrap ${tone(value, props.coloured)}`} title={`${amount.toDecimal(value, amount.USDC)} USDC`}>
      {amount.usdc(value, options(props))} <span class="unit">USDC</span>
    </span>
  );
}

/** For lists: from a million on, cents only make it harder to compare. The exact amount is in the title. */
export function RoundUsdc({ of, ...look }: Omit<FigureProps, 'digits'>): JSX.Element {
  const value = raw(of, amount.USDC);
  return <Usdc of={value} {...look} {...(amount.abs(value) >= amount.pow10(amount.USDC + 6) ? { digits: 0 } : {})} />;
}

/** A share of one, shown in percent. */
export function Percent(props: FigureProps): JSX.Element {
  const value = raw(props.of, amount.WAD);
  return (
    <span class={`nowrap ${tone(value, props.coloured)}`}>
      {amount.percent(value, options(props))} <span class="unit">%</span>
    </span>
  );
}

export function Leverage(props: FigureProps): JSX.Element {
  const value = raw(props.of, amount.WAD);
  return (
    <span class="nowrap" title={`${amount.toDecimal(value, amount.WAD)} × equity`}>
      {amount.format(value, amount.WAD, { digits: 2, ...options(props) })} <span class="unit">×</span>
    </span>
  );
}

export function Price(props: FigureProps): JSX.Element {
  const value = raw(props.of, amount.WAD);
  return (
    <span class="nowrap" title={`${amount.toDecimal(value, amount.WAD)} USDC per unit`}>
      {amount.price(value)} <span class="unit">USDC</span>
    </span>
  );
}

/** A size with the base unit of its market: `ETH-USD` is counted in ETH. */
export function Size({ symbol, ...props }: FigureProps & { readonly symbol: string }): JSX.Element {
  const value = raw(props.of, amount.SIZE);
  const base = symbol.split('-')[0] ?? symbol;
  return (
    <span class={`nowrap ${tone(value, props.coloured)}`} title={`${amount.toDecimal(value, amount.SIZE)} ${base}`}>
      {amount.size(value, options(props))} <span class="unit">{base}</span>
    </span>
  );
}

/** bps; positive is against the follower. */
export function Bps({ of }: { readonly of: string }): JSX.Element {
  return (
    <span class="nowrap">
      {amount.format(amount.fromApi(of, amount.WAD), amount.WAD, { digits: 2, sign: true })} <span class="unit">bps</span>
    </span>
  );
}

export function Side({ of }: { readonly of: string | bigint }): JSX.Element {
  const value = raw(of, amount.SIZE);
  if (value === 0n) return <span class="quiet">flat</span>;
  return value > 0n ? <span class="gain">▲ long</span> : <span class="loss">▼ short</span>;
}

export function Time({ of, dateOnly }: { readonly of: string; readonly dateOnly?: boolean }): JSX.Element {
  const ms = Date.parse(of);
  return (
    <time dateTime={of} class="nowrap" title={`${utc(ms)} UTC`}>
      {dateOnly ? utcDate(ms) : utc(ms)} <span class="unit">UTC</span>
    </time>
  );
}

export function Ago({ of }: { readonly of: string }): JSX.Element {
  const now = useNow(5000);
  const ms = Date.parse(of);
  return (
    <time dateTime={of} class="nowrap" title={`${utc(ms)} UTC`}>
      {relative(ms, now)}
    </time>
  );
}

/** The value of a statistic with its unit; a dash and the reason where it is not defined. */
export function StatisticValue({ of, coloured, sign }: { readonly of: Statistic; readonly coloured?: boolean; readonly sign?: boolean }): JSX.Element {
  if (of.value === null || of.value === undefined) return <None why={of.blank ?? 'not defined'} />;
  const look = { ...(coloured === undefined ? {} : { coloured }), ...(sign === undefined ? {} : { sign }) };
  switch (of.unit) {
    case 'usdc':
      return <RoundUsdc of={clip(of.value, amount.USDC)} {...look} />;
    case 'ratio':
      return <Percent of={clip(of.value, amount.WAD)} {...look} />;
    case 'bps':
      return (
        <span class="nowrap">
          {amount.format(clip(of.value, amount.WAD), amount.WAD, { digits: 2 })} <span class="unit">bps</span>
        </span>
      );
    case 'ms':
      return <span class="nowrap">{duration(Number(of.value))}</span>;
    case 'number':
      return <span>{amount.format(clip(of.value, amount.WAD), amount.WAD, { digits: 2, ...(sign ? { sign } : {}) })}</span>;
  }
}

/** Reads a decimal with any number of decimals, dropping what the unit does not hold. */
function clip(text: string, scale: number): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  return amount.fromApi(fraction === '' ? whole : `${whole}.${fraction.slice(0, scale)}`, scale);
}

const WINDOW_WORDS: Readonly<Record<Schemas['WindowName'], string>> = {
  '7d': 'last 7 days',
  '30d': 'last 30 days',
  '90d': 'last 90 days',
  '365d': 'last 365 days',
  all: 'since inception',
};

export function StatisticTip({ of }: { readonly of: Statistic }): JSX.Element {
  const { window: span } = of;
  return (
    <>
      {of.formula}
      <dl>
        <dt>Window</dt>
        <dd>
          {WINDOW_WORDS[span.name]}
          <br />
          {utc(Date.parse(span.from))} – {utc(Date.parse(span.to))} UTC
        </dd>
        <dt>Samples</dt>
        <dd>
          {amount.format(BigInt(of.samples), 0, { digits: 0 })} {of.sampleKind}
        </dd>
        {of.blank && (
          <>
            <dt>No value</dt>
            <dd>{of.blank}</dd>
          </>
        )}
      </dl>
    </>
  );
}

interface StatisticFigureProps {
  readonly label: string;
  readonly of: Statistic;
  readonly coloured?: boolean;
  readonly sign?: boolean;
  /** Says in plain sight why there is no value, where one would look for it first. */
  readonly reason?: boolean;
}

export function StatisticFigure({ label, of, coloured, sign, reason }: StatisticFigureProps): JSX.Element {
  return (
    <div>
      <dt>
        <Explain tip={<StatisticTip of={of} />}>{label}</Explain>
      </dt>
      <dd>
        {reason && of.blank ? (
          <>
            <span class="quiet" aria-hidden="true">
              –
            </span>
            <div class="small quiet">{of.blank}</div>
          </>
        ) : (
          <StatisticValue of={of} {...(coloured ? { coloured } : {})} {...(sign ? { sign } : {})} />
        )}
      </dd>
    </div>
  );
}

export function Figure({ label, tip, children }: { readonly label: string; readonly tip?: ComponentChildren; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{tip === undefined ? label : <Explain tip={tip}>{label}</Explain>}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Fact({ label, tip, children }: { readonly label: string; readonly tip?: ComponentChildren; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{tip === undefined ? label : <Explain tip={tip}>{label}</Explain>}</dt>
      <dd>{children}</dd>
    </div>
  );
}
