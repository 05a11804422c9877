#!/usr/bin/env bash
# Prints the path of uv at the version of requirements/uv.txt, and installs it into the user's cache where it is missing.
# The Python beside it is the one that environments are made with.
set -euo pipefail

lock=$(cd "$(dirname "${BASH_SOURCE[0]}")/../requirements" && pwd)/uv.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/selftrain
environment=$cache/uv-$(sha256sum "$lock" | cut -c1-16)

fail() { echo "uv: $*" >&2; exit 1; }

# 3.11 comes first because the images run it; requirements/dev.txt also installs on 3.12 and 3.13.
find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3; do
        # A name may be a version manager's stub, so what counts is what answers.
        "$name" -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14); print(sys.executable)' 2>/dev/null && return
    done
    fail "Python 3.11, 3.12 or 3.13 is needed and none is on PATH; on Debian 12: apt-get install python3 python3-venv"
}

# The Python that a finished environment points to may since have been removed from the machine.
usable() { [[ -e $environment/.complete ]] && "$environment/bin/python" -c '' 2>/dev/null; }

make_environment() {
    local python
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
    "$python" -m venv --clear "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    touch "$environment/.complete"
}

mkdir -p "$cache"
exec 9>"$cache/uv.lock"
flock 9
usable || make_environment >&2
echo "$environment/bin/uv"
