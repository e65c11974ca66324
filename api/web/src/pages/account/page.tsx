import type { JSX } from 'preact';
import { useRoute } from 'preact-iso';
import { useState } from 'preact/hooks';
import { getAddress, isAddress, type Address as HexAddress } from 'viem';
import { get } from '../../api/client';
import { useQuery } from '../../api/query';
import { useTopic } from '../../api/stream';
import { rememberedDeployment, useDeployment } from '../../chain/deployment';
import { useMe } from '../../session/me';
import { sameAddress, useSession } from '../../session/session';
import type { ConnectedWallet } from '../../wallet/wallet';
import { useTitle } from '../../ui/hooks';
import { Address, Blank, Failure, Loading, Notice, shorten } from '../../ui/parts';
import { SignIn, SignedIn } from '../../ui/session';
import { WalletList, useWallet } from '../../ui/wallet';
import { AccountCard } from './card';
import { Fills } from './fills';
import { OnChain } from './on-chain';
import { Requests } from './requests';

export function Account(): JSX.Element {
  const { query } = useRoute();
  const wallet = useWallet();
  const deployment = useDeployment();
  const { session } = useSession();
  // Everything here is public on the chain, so any address can be looked at; only its own wallet can act.
  const asked = query['address'];
  const watched = asked !== undefined && isAddress(asked, { strict: false }) ? getAddress(asked) : undefined;
  const mine = wallet?.address ?? session?.address;
  const address = watched ?? (mine === undefined ? undefined : getAddress(mine));
  const own = wallet !== undefined && address !== undefined && getAddress(wallet.address) === address;
  useTitle(own || watched === undefined ? 'My account' : `Account ${shorten(watched)}`);
  return (
    <>
      <div class="head">
        <div>
          <h1>{own || watched === undefined ? 'My account' : 'Account'}</h1>
          {address !== undefined && (
            <p>
              <Address of={address} label="address" />
              {!own && ' – shown read-only: only its own wallet can act.'}
            </p>
          )}
        </div>
        {address !== undefined && session !== undefined && sameAddress(session.address, address) && <SignedIn />}
      </div>
      {deployment.error !== undefined && address === undefined && <Failure error={deployment.error} retry={deployment.retry} />}
      {address === undefined ? (
        <div class="sheet pad stack tight">
          <p>Connect your wallet to see what you follow, what it has come to, and every fill.</p>
          <WalletList />
        </div>
      ) : (
        <Accounts key={address} address={address} wallet={own ? wallet : undefined} source={deployment} />
      )}
    </>
  );
}

interface AccountsProps {
  readonly address: HexAddress;
  /** Set when the wallet shown is the one connected. */
  readonly wallet: ConnectedWallet | undefined;
  readonly source: ReturnType<typeof useDeployment>;
}

function Accounts({ address, wallet, source }: AccountsProps): JSX.Element {
  const deployment = source.value ?? (source.error === undefined ? undefined : rememberedDeployment());
  const query = useQuery(address, (signal) => get('/api/v1/accounts/{address}', { path: { address }, signal }), { everyMs: 15_000 });
  const mine = useMe(address);
  const [turn, setTurn] = useState(0);
  useTopic(`account:${address}`, () => {
    query.refresh();
    mine.refresh();
    setTurn((before) => before + 1);
  });
  if (query.data === undefined) {
    if (query.error === undefined) return <Loading what="your accounts" framed />;
    const again = (): void => {
      source.retry();
      query.refresh();
    };
    return <OnChain address={address} wallet={wallet} deployment={deployment} error={query.error} retry={again} />;
  }
  return (
    <div class="stack">
      {source.error !== undefined && <Failure error={source.error} retry={source.retry} />}
      {query.error !== undefined && <Failure error={query.error} retry={query.refresh} />}
      {query.data.strategies.length > 0 && (
        <Notice>
          This address runs {query.data.strategies.length === 1 ? 'a strategy' : 'strategies'} of its own:{' '}
          {query.data.strategies.map((id, index) => (
            <span key={id}>
              {index > 0 && ', '}
              <a href={`/strategies/${id}`}>strategy {id}</a>
            </span>
          ))}
          .
        </Notice>
      )}
      {query.data.accounts.length === 0 ? (
        <div class="sheet">
          <Blank title="This address follows nobody yet">
            <p>Once you follow a master, your equity, positions, bounds and every fill are here.</p>
            <a class="button main" href="/">
              Choose a master
            </a>
          </Blank>
        </div>
      ) : (
        query.data.accounts.map((account) => (
          <AccountCard key={account.id} account={account} wallet={wallet} deployment={deployment} mine={mine} turn={turn} refresh={query.refresh} />
        ))
      )}
      {!mine.signedIn && wallet !== undefined && (
        <section class="section" aria-labelledby="private">
          <h2 id="private">Names and requests</h2>
          <div class="sheet pad">
            <SignIn wallet={wallet} deployment={deployment} />
          </div>
        </section>
      )}
      {mine.signedIn && <Requests mine={mine} accounts={query.data.accounts} explorer={deployment?.explorerUrl} />}
      {query.data.accounts.length > 0 && <Fills address={address} accounts={query.data.accounts} labelOf={mine.labelOf} turn={turn} explorer={deployment?.explorerUrl} />}
    </div>
  );
}
