#!/usr/bin/env bash
# Print the name of the image that the others start from, and make it first where it is missing: Debian 12 with Python 3.11 from
# Debian's packages, since a machine without a registry cannot pull python:3.11-slim-bookworm. About a minute, once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/images-lib.sh"

mirror() { # a host that reaches Debian by a mirror names it in its own sources
  local own
  own=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -E '^(URIs:|deb )' | grep -oE 'https?://[^ ]*/debian/?( |$)' | head -1) || true
  echo "$own" # empty: debootstrap knows one
}

fill() { # folder. The engine's wheels ask for libnuma and libgomp.
  debootstrap --variant=minbase --include python3,python3-venv,ca-certificates,libnuma1,libgomp1 bookworm "$1" $(mirror) || return
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/usr/share/{doc,man,locale,info}/* "$1"/etc/{resolv.conf,hostname}
}

name=localhost/selftrain/base:$(declare -f fill | sha256sum | cut -c1-12)
if builder inspect --type image "$name" >/dev/null 2>&1; then echo "$name"; exit; fi
command -v debootstrap >/dev/null || die "debootstrap is missing; run $here/packages.sh"
echo "building $name" >&2
container=$(builder from scratch)
trap 'builder rm "$container" >/dev/null' EXIT
logged base fill "$(builder mount "$container")"
builder config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 "$container"
builder commit --quiet "$container" "$name" >/dev/null
echo "$name"
