#!/usr/bin/env bash
# Say in one line why this machine cannot host the node of the embedded cluster, and exit 1; silent where it can.
set -uo pipefail
no() { echo "this machine cannot host a Kubernetes node: $*"; exit 1; }
[[ $(uname -s) == Linux ]] || no "it does not run Linux"
[[ $EUID == 0 ]] || no "not root"
unshare --mount true 2>/dev/null || no "mounts are not permitted"
unshare --net ip link add one type veth peer name two 2>/dev/null || no "network namespaces or veth links are not permitted"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
mkdir -p "$cache" && scratch=$(mktemp -d -p "$cache") || no "$cache cannot be written"
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch"/{lower,upper,work,root} # where the containers' layers will lie: an overlay upon an overlay is refused
unshare --mount mount -t overlay overlay -o "lowerdir=$scratch/lower,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root" 2>/dev/null \
  || no "overlay file systems cannot be mounted in $cache"

for tree in $(cgroup_trees); do
  case ${tree##*/} in unified | systemd) continue ;; esac # no resources are counted there
  mkdir "$tree/selftrain-probe-$$" 2>/dev/null && rmdir "$tree/selftrain-probe-$$" || no "control groups cannot be made under $tree"
done
