# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by the scripts that build images.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Apart from the user's own images, and gone with `down.sh --purge`.
export TMPDIR=$state/tmp # whole layers pass through it, which /tmp may have no room for
mkdir -p "$TMPDIR"
builder() { buildah --root "$state/build" --runroot "$run/build" --storage-driver overlay "$@"; }

logged() { # name command...: what it says is shown when it fails
  local log=$state/logs/image-$1.log
  mkdir -p "$state/logs"
  "${@:2}" >"$log" 2>&1 || { tail -20 "$log" >&2; die "$1 failed, all of it is in $log"; }
}
