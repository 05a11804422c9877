#!/bin/sh
# Runs inside an image build: system.sh ENGINE adds the Debian packages that the engine's wheels ask for, those alone that are missing.
set -eu
case $1 in
  cpu) packages="libnuma1 libgomp1" ;;
  # Triton and DeepSpeed compile small launchers for the GPU they find.
  gpu) packages="libnuma1 libgomp1 g++ libc6-dev" ;;
  *) echo "ENGINE is gpu or cpu, not $1" >&2; exit 1 ;;
esac
missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing
rm -rf /var/lib/apt/lists/*
