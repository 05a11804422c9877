#!/bin/sh
# Runs inside an image build: install.sh LOCK [WITHIN] puts what LOCK lists into /opt/venv; with WITHIN only what that lock lists as well.
# What the host needs to reach its package index comes as build secrets and is gone afterwards, like uv itself.
set -eu
here=$(dirname "$0")
if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi
if [ -e /run/secrets/host ]; then . /run/secrets/host; fi
if [ -d /run/uv ]; then export UV_CACHE_DIR=/run/uv UV_LINK_MODE=copy; else export UV_NO_CACHE=1; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1

lock=$1
tools=$(mktemp -d)
if [ $# = 2 ]; then
  # The lock's blocks, a name and its hashes each, whose first line is in the other lock too.
  awk 'FNR == NR {seen[$1]; next} /^[^ #]/ {keep = $1 in seen} keep' "$2" "$1" >"$tools/shared.txt"
  lock=$tools/shared.txt
fi
python3 -m venv "$tools/uv"
"$tools/uv/bin/pip" install --quiet --no-cache-dir --require-hashes -r "$here/uv.txt"
uv=$tools/uv/bin/uv
[ -d /opt/venv ] || "$uv" venv --quiet --python "$(command -v python3)" /opt/venv
# Compiled here, since a read-only root file system lets no pod keep what it compiles.
# DeepSpeed's own kernels would need nvcc; it builds what it uses when it is used.
DS_BUILD_OPS=0 "$uv" pip install --quiet --python /opt/venv/bin/python --no-deps --compile-bytecode \
  --require-hashes --require-build-hashes --build-constraints "$here/build.txt" -r "$lock"
rm -rf "$tools"
