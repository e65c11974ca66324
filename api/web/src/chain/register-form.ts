/** A master's terms, from text to the registry's integers. The ranges are the registry's own (`_checkTerms`). */
import { USDC, format, parseTyped, pow10 } from '../units/amount';

export interface Registration {
  readonly name: string;
  readonly proof: 'venue' | 'keeper';
  readonly source: string;
  readonly markets: readonly string[];
  readonly copyFee: string;
  readonly performanceFee: string;
  readonly maxLeverage: string;
  readonly maxSlippage: string;
  readonly deadBand: string;
  readonly minTrade: string;
  readonly capacity: string;
  readonly disclosureDelay: string;
}

export type RegistrationField = keyof Registration;

export interface RegistryTerms {
  readonly copyFeeBps: number;
  readonly performanceFeeBps: number;
  readonly maxLeverageBps: number;
  readonly maxSlippageBps: number;
  readonly deadBandBps: number;
  readonly minTradeNotional: bigint;
  readonly maxOpenNotional: bigint;
  readonly disclosureDelay: number;
}

export interface CheckedRegistration {
  readonly problems: Partial<Record<RegistrationField, string>>;
  /** Set when nothing is wrong. */
  readonly terms: RegistryTerms | undefined;
}

/** Bytes of a name that the registry takes. */
const NAME_BYTES = 64;

export function checkRegistration(form: Registration, isAddress: (text: string) => boolean): CheckedRegistration {
  const problems: Partial<Record<RegistrationField, string>> = {};

  function number(field: RegistrationField, scale: number, low: bigint, high: bigint): bigint {
    const typed = parseTyped(form[field] as string, scale);
    if (!typed.ok) {
      problems[field] = typed.why;
      return 0n;
    }
    if (typed.value < low || typed.value > high) {
      const show = (value: bigint): string => format(value, scale, { digits: scale, trim: true });
      problems[field] = `Between ${show(low)} and ${show(high)}.`;
    }
    return typed.value;
  }

  const bytes = new TextEncoder().encode(form.name.trim()).length;
  if (bytes === 0) problems.name = 'Give it a name.';
  if (bytes > NAME_BYTES) problems.name = `At most ${NAME_BYTES} bytes; this is ${bytes}.`;
  if (form.proof === 'venue' && !isAddress(form.source.trim())) problems.source = 'This is not an address.';
  if (form.markets.length === 0) problems.markets = 'Choose at least one market.';

  const copyFee = number('copyFee', 2, 0n, 100n);
  const performanceFee = number('performanceFee', 2, 0n, 1500n);
  if (problems.performanceFee === undefined && performanceFee !== 0n && performanceFee < 500n) {
    problems.performanceFee = '0, or between 5 and 15.';
  }
  const terms: RegistryTerms = {
    copyFeeBps: Number(copyFee),
    performanceFeeBps: Number(performanceFee),
    maxLeverageBps: Number(number('maxLeverage', 4, 1000n, 1_000_000n)),
    maxSlippageBps: Number(number('maxSlippage', 2, 1n, 1000n)),
    deadBandBps: Number(number('deadBand', 2, 0n, 2000n)),
    minTradeNotional: number('minTrade', USDC, pow10(USDC), 10_000n * pow10(USDC)),
    maxOpenNotional: number('capacity', USDC, 1n, 2n ** 64n - 1n),
    disclosureDelay: Number(number('disclosureDelay', 0, 0n, 86_400n)),
  };
  return { problems, terms: Object.keys(problems).length === 0 ? terms : undefined };
}
