/** EIP-6963: wallets announce themselves, so several can live side by side and none has to be guessed. */

export interface Eip1193Provider {
  request(request: { readonly method: string; readonly params?: unknown }): Promise<unknown>;
  on?(event: string, listener: (payload: never) => void): unknown;
  removeListener?(event: string, listener: (payload: never) => void): unknown;
}

export interface WalletInfo {
  readonly uuid: string;
  readonly name: string;
  readonly icon: string;
  readonly rdns: string;
}

export interface AnnouncedWallet {
  readonly info: WalletInfo;
  readonly provider: Eip1193Provider;
}

/** Announcements come from other software: only what has the right shape is listed. */
export function readAnnouncement(detail: unknown): AnnouncedWallet | undefined {
  if (typeof detail !== 'object' || detail === null) return undefined;
  const { info, provider } = detail as { info?: unknown; provider?: unknown };
  if (typeof info !== 'object' || info === null) return undefined;
  if (typeof provider !== 'object' || provider === null) return undefined;
  if (typeof (provider as { request?: unknown }).request !== 'function') return undefined;
  const { uuid, name, icon, rdns } = info as Record<string, unknown>;
  if (typeof uuid !== 'string' || uuid === '' || typeof name !== 'string' || name.trim() === '') return undefined;
  return {
    info: {
      uuid,
      name: name.trim().slice(0, 40),
      // The standard asks for a data URI. Anything else could call home, so it is not shown.
      icon: typeof icon === 'string' && /^data:image\/(png|svg\+xml|webp|jpeg|gif)[;,]/.test(icon) ? icon : '',
      rdns: typeof rdns === 'string' ? rdns : '',
    },
    provider: provider as Eip1193Provider,
  };
}

/** Listens for announcements and asks for them. Calls `changed` with the whole list, in order of arrival. */
export function discoverWallets(changed: (wallets: readonly AnnouncedWallet[]) => void, target: EventTarget = window): () => void {
  const wallets = new Map<string, AnnouncedWallet>();
  const onAnnounce = (event: Event): void => {
    const wallet = readAnnouncement((event as CustomEvent<unknown>).detail);
    // A wallet announces itself again whenever any page part asks; the first announcement stands.
    if (wallet === undefined || wallets.has(wallet.info.uuid)) return;
    wallets.set(wallet.info.uuid, wallet);
    changed([...wallets.values()]);
  };
  target.addEventListener('eip6963:announceProvider', onAnnounce);
  target.dispatchEvent(new Event('eip6963:requestProvider'));
  return () => target.removeEventListener('eip6963:announceProvider', onAnnounce);
}
