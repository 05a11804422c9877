#!/usr/bin/env bash
# Stop the cluster of this machine and undo all that it left: processes, mounts, links, namespaces, control groups.
# Objects and images stay for the next start; --purge removes them too.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
[[ $EUID == 0 ]] || die "not root"
lock
take_down
if [[ ${1:-} == --purge ]]; then rm -rf "$state"; fi
