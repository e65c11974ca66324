/** The parts of the contracts' ABI this page uses; `test/abi.test.ts` holds them against `contracts/abi`. */
import { parseAbi } from 'viem';

export const vaultAbi = parseAbi([
  'function navCount() view returns (uint256)',
  'function navAt(uint256 i) view returns (uint64 time, uint256 navIndex, uint256 totalEquity)',
  'function accountOf(address follower) view returns (uint32)',
  'function equityOf(uint32 account) view returns (int256)',
  'function maintenanceOf(uint32 account) view returns (uint256)',
  'function freeMarginOf(uint32 account) view returns (uint256)',
  'function previewTarget(uint32 account, uint8 market, int256 leverage) view returns (int256 target, int256 delta, uint8 outcome)',
  'function exit(uint256 maxSlippageBps) returns (uint256 paid)',
  'error UnknownAccount(uint32 account)',
  'error SlippageBeyondLimit(uint256 fillPrice, uint256 indexPrice, uint256 limitBps)',
  'error PriceLimit(uint256 fillPrice, uint256 limitPrice)',
  'error AmountZero()',
  'error PartialFill(int256 wanted, int256 filled)',
  'error StrategyWoundUp()',
]);

export const engineAbi = parseAbi([
  'struct StoredSignal { int256 leverage; uint64 sequence; uint64 observedAt; uint8 proof; }',
  'function signalOf(uint256 strategyId, uint8 market) view returns (StoredSignal)',
]);

export const registryAbi = parseAbi([
  'struct Strategy { address master; address venue; string name; address source; address[] vaults; uint16[] markets; }',
  'function strategyCount() view returns (uint256)',
  'function strategy(uint256 strategyId) view returns (Strategy)',
  'struct Terms { uint16 copyFeeBps; uint16 performanceFeeBps; uint32 maxLeverageBps; uint16 maxSlippageBps; uint16 deadBandBps; uint64 minTradeNotional; uint64 maxOpenNotional; uint32 disclosureDelay; }',
  'function register(address venue, address source, string name, uint16[] markets, Terms terms) returns (uint256 strategyId, address vault)',
  'event StrategyRegistered(uint256 indexed strategyId, address indexed master, address indexed venue, address source, string name, uint16[] markets, Terms terms)',
  'error UnknownVenue(address venue)',
  'error UnknownListing(uint16 listingId)',
  'error TermsOutOfRange(string field)',
  'error TooManyMarkets(uint256 count, uint256 max)',
  'error NoMarkets()',
  'error DuplicateMarket(uint16 listingId)',
  'error NameLength(uint256 length)',
]);

export const tokenAbi = parseAbi([
  'function balanceOf(address owner) view returns (uint256)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function nonces(address owner) view returns (uint256)',
  'function name() view returns (string)',
  'function version() view returns (string)',
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
]);
