# shellcheck shell=bash
# What script/up, script/test and script/bench share. Sourced, from the top of the checkout.

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need PROGRAM WHY: fails naming the program and how to get it.
need() {
  command -v "$1" >/dev/null 2>&1 || die "$1 is missing. $2"
}

# at_least HAVE WANT: whether version HAVE is WANT or later.
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# admits RANGES HAVE: whether version HAVE is in one of RANGES, which are npm's `^A || ^B || >=C`.
admits() {
  local range want
  while read -r range; do
    want=${range#[\^>]} want=${want#=}
    at_least "$2" "$want" || continue
    case $range in
      ^*) [ "${2%%.*}" = "${want%%.*}" ] && return 0 ;;
      *) return 0 ;;
    esac
  done < <(printf '%s\n' "${1//||/$'\n'}")
  return 1
}

need_tools() {
  local rust node want_rust want_node
  want_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  want_node=$(sed -n 's/.*"node": "\(.*[0-9]\)".*/\1/p' package.json)

  need cargo "Install Rust $want_rust or later: https://rustup.rs"
  rust=$(cargo --version | awk '{print $2}')
  at_least "$rust" "$want_rust" || die "Rust $rust is too old, $want_rust or later is needed: rustup update"

  need node "Install Node.js $want_node: https://nodejs.org"
  node=$(node --version | tr -d v)
  admits "$want_node" "$node" || die "Node.js $node is not one of $want_node: https://nodejs.org"
  need npm "It comes with Node.js."
  need cc "A C compiler is needed to build SQLite. Debian: apt-get install build-essential; macOS: xcode-select --install"
}

# Installs what package-lock.json names, unless that is what is installed.
install_node_modules() {
  local stamp=node_modules/.lockstep-lock
  if [ -f "$stamp" ] && cmp -s package-lock.json "$stamp"; then
    return
  fi
  say "Installing Node packages: contracts' dependencies, compiler, local chain, dashboard (npm ci)"
  npm ci --no-fund --no-audit --loglevel=error
  cp package-lock.json "$stamp"
}

# anvil and forge come with the Node packages where npm has them for this platform.
need_foundry() {
  local tool
  for tool in forge anvil; do
    [ -x "node_modules/.bin/$tool" ] || need "$tool" "npm has none for this platform. Install Foundry: https://getfoundry.sh"
  done
}

# Builds the dashboard, unless nothing it is made of has changed.
build_dashboard() {
  local stamp=api/web/dist/index.html
  if [ -f "$stamp" ] && [ -z "$(find api/web package-lock.json -newer "$stamp" -type f -not -path '*/dist/*' -not -path '*/node_modules/*' -print -quit)" ]; then
    return
  fi
  say "Building the dashboard"
  npm run --silent web:build -- --logLevel warn
}

# build_programs [--release]: everything script/up and the tests run.
build_programs() {
  say "Building keeper, indexer, API and the local stack (cargo build; a few minutes the first time)"
  cargo build --locked "$@" -p lockstep-keeper -p lockstep-indexer -p lockstep-api -p lockstep-devnet
}
