# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by the scripts beside it: where the cluster of this machine is, and how its processes are started and ended.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/selftrain
# What must not outlive a reboot is under /run, so that a cluster which died with its machine looks stopped and not half alive.
# Its place is fixed because a machine has one cluster, whichever clone or user folder started it.
run=/run/selftrain
# Written by up.sh; a clone with another cache folder finds the running cluster by it.
state=$(cat "$run/state" 2>/dev/null || echo "$cache/cluster")
netns=selftrain
socket=$run/containerd.sock
daemons=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns)

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

lock() { # two clones that act at once act one after the other
  mkdir -p /run/lock
  exec 9>/run/lock/selftrain
  flock 9
}

start() { # binary arguments...: a daemon in the node's network namespace
  # nsenter, since `ip netns exec` hides /sys/fs/cgroup. Descriptor 9 is the lock: a daemon that inherits it would hold it for ever.
  setsid nohup nsenter "--net=/run/netns/$netns" "$bin/$1" "${@:2}" >"$state/logs/$1.log" 2>&1 </dev/null 9>&- &
}

# The network namespace says which processes are the node's: unlike files of process ids that is never stale.
pids() { # binary
  local pid exe
  for pid in $(ip netns pids "$netns" 2>/dev/null); do
    exe=$(readlink "/proc/$pid/exe") && exe=${exe% (deleted)}
    if [[ ${exe##*/} == "$1" ]]; then echo "$pid"; fi
  done
}

running() {
  local daemon
  for daemon in "${daemons[@]}"; do [[ -n $(pids "$daemon") ]] || return 1; done
  "$(<"$run/bin")/kubectl" --kubeconfig "$state/kubeconfig" wait --for=condition=Ready node/node-1 --timeout 10s >/dev/null 2>&1
}

stop() { # binary...: end daemons in this order and wait for each
  local name
  for name in "$@"; do
    pids "$name" | xargs -r kill 2>/dev/null
    for _ in $(seq 100); do if [[ -n $(pids "$name") ]]; then sleep 0.1; else break; fi; done
    pids "$name" | xargs -r kill -9 2>/dev/null
  done
}

# cgroup v1 and the hybrid layout have one tree per controller, v2 has a single one.
cgroup_trees() {
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then echo /sys/fs/cgroup; else find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d; fi
}

node_cgroups() {
  local tree
  for tree in $(cgroup_trees); do if [[ -d $tree/selftrain ]]; then find "$tree/selftrain" -depth -type d; fi; done
}

kill_pods() {
  local folder
  for _ in $(seq 50); do # a process outside this process namespace reads as 0, and killing 0 would kill this script
    for folder in $(node_cgroups); do cat "$folder/cgroup.procs" 2>/dev/null; done | grep -vx 0 | sort -u | xargs -r kill -9 2>/dev/null
    node_cgroups | xargs -r rmdir 2>/dev/null
    if [[ -z $(node_cgroups) ]]; then return; fi
    sleep 0.1
  done
}

remove_pod_networks() { # what the plugins would have undone had the pods been deleted
  local result id
  for result in /var/lib/cni/results/selftrain-*-eth0; do
    [[ -e $result ]] || continue
    id=${result##*/selftrain-} id=${id%-eth0}
    ip netns del "$(grep -oE 'cni-[0-9a-f]{8}-[0-9a-f-]+' "$result" | head -1)" 2>/dev/null
    rm -f "$result" "/var/lib/cni/results/cni-loopback-$id-lo"
  done
}

take_down() { # in whatever state the node is, so nothing here may fail
  stop kubelet kube-proxy coredns kube-controller-manager kube-scheduler
  kill_pods
  pids containerd-shim-runc-v2 | xargs -r kill -9 2>/dev/null
  stop containerd kube-apiserver etcd
  ip netns pids "$netns" 2>/dev/null | xargs -r kill -9 2>/dev/null
  awk -v state="$state/" -v run="$run/" 'index($2, state) == 1 || index($2, run) == 1 {print $2}' /proc/mounts | sort -r \
    | while read -r point; do umount -l "$point" 2>/dev/null; done
  remove_pod_networks
  if [[ -e /run/netns/$netns ]]; then ip netns del "$netns"; fi # its end of the veth pair goes with it, and so does the other
  if [[ -z $(ls -A /run/netns 2>/dev/null) ]]; then umount /run/netns 2>/dev/null; rmdir /run/netns 2>/dev/null; fi # `ip netns` mounts it
  rm -rf "$run"
}
