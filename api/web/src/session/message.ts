/** The EIP-4361 message: what a person reads in the wallet before signing in. Loaded only when someone does. */
import { getAddress } from 'viem';
import { createSiweMessage } from 'viem/siwe';
import type { Schemas } from '../api/client';

/**
 * `site` is the host and port this page was really loaded from. A message for another one is never shown to a wallet: the
 * habit of signing such messages is what sites that pretend to be this one live on.
 */
export function loginMessage(nonce: Schemas['SessionNonce'], address: string, site: string): string {
  if (nonce.domain !== site) {
    throw new Error(`Signing in is only possible on ${nonce.uri}, and this page was opened on ${site}. Open it there.`);
  }
  return createSiweMessage({
    address: getAddress(address),
    chainId: nonce.chainId,
    domain: nonce.domain,
    uri: nonce.uri,
    statement: nonce.statement,
    version: '1',
    nonce: nonce.nonce,
    issuedAt: new Date(nonce.issuedAt),
    expirationTime: new Date(nonce.expirationTime),
  });
}
