#!/usr/bin/env bash
# Install the Debian packages that the embedded cluster and the image build need; does nothing when all are there.
set -euo pipefail
needed=(
  runc containernetworking-plugins iptables iproute2 openssl procps util-linux # the node
  buildah skopeo debootstrap python3 ca-certificates # the images
)
missing=()
for package in "${needed[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [[ ${#missing[@]} == 0 ]]; then exit; fi
command -v apt-get >/dev/null || { echo "packages.sh: this machine has no apt; install the equivalents of: ${missing[*]}" >&2; exit 1; }
[[ $EUID == 0 ]] || { echo "packages.sh: not root; run: sudo apt-get install ${missing[*]}" >&2; exit 1; }
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
