#!/usr/bin/env bash
# Build the binaries of the embedded cluster from Go modules and print the folder that holds them.
# The folder is named by the content of modules/, pause/ and this script, so clones share it and an interrupted build goes on where it stopped.
# About 15 minutes cold on two cores. BIN names another folder; what is already in it is used as it is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
content=$(cd "$here" && cat build.sh modules/*/go.mod modules/*/go.sum pause/* | sha256sum | cut -c1-12)
bin=${BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/selftrain/bin-$content}
if [[ -e $bin/.complete ]]; then echo "$bin"; exit; fi

command -v go >/dev/null || { echo "build.sh: Go 1.26 or newer is needed (https://go.dev/dl)" >&2; exit 1; }
mkdir -p "$bin"
exec 9>"$bin/.lock"
flock 9 # two clones that start at once build once

build() { # module binary package [ldflags] [tags]
  if [[ -x $bin/$2 ]]; then return; fi
  echo "building $2" >&2
  # Renamed when whole: a killed build leaves no half binary under the final name.
  (cd "$here/$1" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${4:-}" -tags "${5:-}" -o "$bin/.partial" "$3")
  mv "$bin/.partial" "$bin/$2"
}

kubernetes_version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$here/modules/kubernetes/go.mod")
# Without these the server calls itself v0.0.0-master and Helm's capability checks fail.
version=k8s.io/component-base/version
version_flags="-X $version.gitVersion=$kubernetes_version -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes_version") -X $version.gitTreeState=clean"
no_drivers="no_btrfs no_zfs no_devmapper"

build pause pause .
build modules/versitygw versitygw github.com/versity/versitygw/cmd/versitygw
build modules/etcd etcd go.etcd.io/etcd/server/v3
for component in kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
  build modules/kubernetes "$component" "k8s.io/kubernetes/cmd/$component" "$version_flags"
done
for component in containerd containerd-shim-runc-v2 ctr; do
  build modules/containerd "$component" "github.com/containerd/containerd/v2/cmd/$component" "" "$no_drivers"
done
build modules/coredns coredns github.com/coredns/coredns
build modules/helm helm helm.sh/helm/v4/cmd/helm
touch "$bin/.complete"
echo "$bin"
