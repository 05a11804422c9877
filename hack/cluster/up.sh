#!/usr/bin/env bash
# Start a real single-node Kubernetes and print the path of its kubeconfig; when it runs already, print that alone.
# One cluster a machine, shared by all clones. What a crash or a reboot left half alive is taken down first; objects and images stay.
# The node lives in a network namespace of its own, joined to this host by one veth pair: no port, firewall rule or bridge of the host
# is touched, nothing is reachable from other hosts, and pods have no way out.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
"$here/can-host.sh" >&2
for command in runc iptables openssl /usr/lib/cni/ptp; do
  command -v "$command" >/dev/null || die "$command is missing; run $here/packages.sh"
done
bin=$("$here/build.sh")
node_ip=10.245.0.1 host_ip=10.245.0.254 services=10.96.0.0/16

issue() { # file subject [extensions]: a certificate signed by the cluster's authority
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" -extfile <(echo "${3:-}")
}

certificates() {
  if [[ -e pki/sa.pub ]]; then return; fi
  rm -rf pki pki.partial # an interrupted start leaves no half set of keys
  mkdir -m 700 pki.partial && cd pki.partial
  {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=selftrain-cluster
    issue apiserver /CN=kube-apiserver "subjectAltName=IP:$node_ip,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    issue kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
    issue admin /O=system:masters/CN=admin
    openssl genrsa -out sa.key 2048
    openssl rsa -in sa.key -pubout -out sa.pub
  } 2>/dev/null
  cd .. && mv pki.partial pki
}

configuration() {
  mkdir -p config/cni
  for file in containerd.toml kubelet.yaml kubeconfig.yaml audit.yaml Corefile cni.conflist; do
    sed "s#@STATE@#$state#g; s#@RUN@#$run#g; s#@RUNC@#$(command -v runc)#g" "$here/node/$file" >"config/$file"
  done
  mv config/cni.conflist config/cni/10-selftrain.conflist
  install -m 600 config/kubeconfig.yaml kubeconfig
}

network() {
  ip netns add "$netns"
  ip link add "$netns" type veth peer name node netns "$netns"
  ip addr add "$host_ip/24" dev "$netns"
  ip link set "$netns" up
  ip -n "$netns" addr add "$node_ip/24" dev node
  ip -n "$netns" link set node up
  ip -n "$netns" link set lo up
  ip -n "$netns" route add default via "$host_ip" # the API server wants a default route; the host forwards nothing
}

cgroup_root() { # kubelet wants its root to exist in every tree
  local tree controller
  for tree in $(cgroup_trees); do
    if [[ -f $tree/cgroup.subtree_control && $tree == /sys/fs/cgroup ]]; then
      for controller in $(<"$tree/cgroup.controllers"); do echo "+$controller" >"$tree/cgroup.subtree_control"; done
    fi
    mkdir -p "$tree/selftrain"
  done
}

wait_for() { # seconds command...
  local tries=$(($1 * 4)); shift
  for _ in $(seq "$tries"); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.25; done
  return 1
}

etcd() {
  # No fsync: image loads keep the disk busy for minutes, and the API must answer meanwhile. The price is paid below.
  start etcd --data-dir etcd --unsafe-no-fsync --log-level warn
  wait_for 20 nsenter "--net=/run/netns/$netns" "$bin/kubectl" get --raw /health --server http://127.0.0.1:2379
}

control_plane() {
  if ! etcd; then
    echo "the cluster's database did not survive the last stop of this machine; starting with an empty one" >&2
    stop etcd
    rm -rf etcd
    etcd || die "etcd does not start, see $state/logs/etcd.log"
  fi
  # InternalIP first, or `kubectl logs` looks the node's name up in DNS.
  start kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address "$node_ip" \
    --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key --client-ca-file pki/ca.crt --anonymous-auth=false \
    --kubelet-client-certificate pki/kubelet-client.crt --kubelet-client-key pki/kubelet-client.key --kubelet-preferred-address-types InternalIP \
    --service-account-key-file pki/sa.pub --service-account-signing-key-file pki/sa.key --service-account-issuer https://kubernetes.default.svc \
    --authorization-mode Node,RBAC --service-cluster-ip-range "$services" \
    --audit-policy-file config/audit.yaml --audit-log-path logs/audit.log --audit-log-maxsize 50 --audit-log-maxbackup 1
  wait_for 60 "$bin/kubectl" get --raw /readyz || die "the API server does not start, see $state/logs/kube-apiserver.log"
  # One unknown controller name stops the whole process, so exclude instead of listing.
  start kube-controller-manager --kubeconfig kubeconfig --leader-elect=false --secure-port 0 \
    --service-account-private-key-file pki/sa.key --root-ca-file pki/ca.crt \
    --controllers '*,-cloud-node-lifecycle-controller,-service-lb-controller,-node-route-controller,-node-ipam-controller,-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller'
  start kube-scheduler --kubeconfig kubeconfig --leader-elect=false --secure-port 0
}

node() {
  PATH=$bin:$PATH start containerd -c config/containerd.toml # it looks for its shim in the path
  wait_for 30 "$bin/ctr" -a "$socket" version || die "containerd does not start, see $state/logs/containerd.log"
  "$here/node/pause.sh" "$bin/pause" | CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 "$bin/ctr" -a "$socket" -n k8s.io images import - >/dev/null
  cgroup_root
  start kubelet --config config/kubelet.yaml --kubeconfig kubeconfig --hostname-override node-1 --node-ip "$node_ip" --root-dir "$state/kubelet"
  start kube-proxy --kubeconfig kubeconfig --proxy-mode iptables --cluster-cidr 10.244.0.0/16 --hostname-override node-1 \
    --bind-address "$node_ip" --conntrack-max-per-core 0
  start coredns -conf config/Corefile
  "$bin/kubectl" apply -f "$here/node/dns.yaml" >/dev/null
  # The node of an earlier start is there and ready at once, kubelet is not.
  wait_for 60 nsenter "--net=/run/netns/$netns" "$bin/kubectl" get --raw /healthz --server http://127.0.0.1:10248 || die "kubelet does not start, see $state/logs/kubelet.log"
  "$bin/kubectl" wait --for=create node/node-1 --timeout 60s >/dev/null
  "$bin/kubectl" wait --for=condition=Ready node/node-1 --timeout 120s >/dev/null || die "the node does not get ready, see $state/logs/kubelet.log"
}

lock
if running; then
  if [[ $bin != "$(<"$run/bin")" ]]; then echo "the running cluster was built from other sources; stop it with $here/down.sh to replace it" >&2; fi
  echo "$state/kubeconfig"
  exit
fi
take_down || true # it reports with errors what was not there to be removed
mkdir -p "$run" "$state/logs"
echo "$state" >"$run/state"
echo "$bin" >"$run/bin"
cd "$state"
export KUBECONFIG=$state/kubeconfig
certificates
configuration
network
control_plane
node
echo "$KUBECONFIG"
