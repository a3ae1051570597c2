# Sourced by the scripts beside it: where the tree is, how many jobs fit, how to say something.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=${TRIREME_JOBS:-$(nproc)}

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$(basename "$0"): $*"
  exit 1
}
