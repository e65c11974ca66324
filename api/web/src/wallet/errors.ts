/** EIP-1193 errors in words. */

export class WalletError extends Error {
  override readonly name = 'WalletError';
  constructor(
    message: string,
    /** The person said no: not a fault, and nothing to report. */
    readonly declined = false,
  ) {
    super(message);
  }
}

function codeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return String(error);
}

export function toWalletError(error: unknown): WalletError {
  if (error instanceof WalletError) return error;
  switch (codeOf(error)) {
    case 4001:
      return new WalletError('You declined in the wallet. Nothing was signed and nothing was sent.', true);
    case 4100:
      return new WalletError('The wallet has not allowed this page to use the account. Connect it again.');
    case 4200:
      return new WalletError('The wallet does not support this request. It must be able to sign messages and typed data (EIP-191, EIP-712).');
    case 4900:
    case 4901:
      return new WalletError('The wallet is not connected to the network. Check it and try again.');
    case -32002:
      return new WalletError('The wallet is already showing a request. Open it and answer that one first.');
    default:
      return new WalletError(`The wallet reported: ${messageOf(error)}`);
  }
}

/** True when the wallet does not know the chain and has to be told about it. */
export function isUnknownChain(error: unknown): boolean {
  if (codeOf(error) === 4902) return true;
  // Some wallets wrap the code.
  const { data } = (typeof error === 'object' && error !== null ? error : {}) as { data?: { originalError?: unknown } };
  return codeOf(data?.originalError) === 4902;
}
