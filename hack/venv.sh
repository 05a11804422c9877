#!/usr/bin/env bash
# Prints the folder of the virtual environment that tests and tools run in, and makes it first where it is missing.
# It holds everything in requirements/dev.txt and not the project itself, which runs from source with PYTHONPATH=operator,
# so that one environment serves every clone whose lock is the same.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/../requirements
cache=${XDG_CACHE_HOME:-$HOME/.cache}/selftrain

uv=$("$here/uv.sh")
python=$(dirname "$uv")/python
version=$("$python" -c 'import sys; print(*sys.version_info[:3], sep=".")')
key=$({ cat "$requirements/dev.txt" "$requirements/build.txt"; echo "$version"; } | sha256sum | cut -c1-16)
venv=$cache/venv-$key

# The Python that a finished environment points to may since have been removed from the machine.
usable() { [[ -e $venv/.complete ]] && "$venv/bin/python" -c '' 2>/dev/null; }

make_environment() {
    echo "venv: making $venv (5 GB, a minute or two where downloads are fast)"
    "$uv" venv --quiet --clear --python "$python" "$venv"
    # Compiled now, since whoever runs Python without writing bytecode would compile vLLM and torch at every start.
    # The lock is the whole closure, and --no-deps keeps uv from asking for what the lock leaves out on purpose
    # (requirements/cpu-excludes.txt). DeepSpeed comes as sources; its kernels for GPUs would need nvcc.
    DS_BUILD_OPS=0 "$uv" pip install --quiet --python "$venv/bin/python" --compile-bytecode --no-deps \
        --require-hashes --require-build-hashes --build-constraints "$requirements/build.txt" -r "$requirements/dev.txt"
    touch "$venv/.complete"
}

mkdir -p "$cache"
exec 9>"$cache/venv.lock"
flock 9
usable || make_environment >&2
echo "$venv"
