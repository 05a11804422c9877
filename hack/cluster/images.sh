#!/usr/bin/env bash
# Build images and load them into the running cluster, without a registry: images.sh NAME... prints a line NAME=REFERENCE for each.
# A reference is keyed by the content of all that goes into the image; what the cluster has already is neither built nor loaded.
# ENGINE=gpu builds the images for GPUs; BASE names another image to start from.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/images-lib.sh"
root=$(cd "$here/../.." && pwd)
engine=${ENGINE:-cpu}
[[ $# -gt 0 ]] || die "usage: images.sh NAME... ($(cd "$root/images" && echo */ | tr -d /))"
for name in "$@"; do [[ -f $root/images/$name/Dockerfile ]] || die "there is no images/$name/Dockerfile"; done
for command in buildah skopeo; do command -v "$command" >/dev/null || die "$command is missing; run $here/packages.sh"; done
[[ -S $socket ]] || die "the cluster is not running; start it with $here/up.sh"
bin=$(<"$run/bin")
mkdir -p "$state/blobs/sha256"
exec 8>"$state/build.lock"
flock 8 # a second clone waits and then finds the images there
rm -rf "${TMPDIR:?}"/* # gigabytes, where a run was killed
base=${BASE:-$("$here/base.sh")}

node_images() { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 "$bin/ctr" -a "$socket" -n k8s.io "$@"; }

sources() { # Dockerfile: the files that its COPY lines bring in from the repository, by path
  sed -nE 's/^COPY (--chown=[^ ]+ )?([^-].*) [^ ]+$/\2/p' "$1" | sed "s/\${ENGINE}/$engine/g" | tr ' ' '\n' \
    | while read -r path; do find "$path" -type f ! -name '*.pyc'; done | sort -u
}

key() { # name
  (cd "$root" && { echo "$base" "$engine"; grep -q from=bin "images/$1/Dockerfile" && echo "$bin"; sources "images/$1/Dockerfile" | xargs -d '\n' -r sha256sum; cat "images/$1/Dockerfile"; } | sha256sum | cut -c1-16)
}

secrets() { # folder: what the host needs to reach its package indexes, for the time of the build alone
  local index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
  cat "${SSL_CERT_FILE:-/dev/null}" >"$1/ca"
  if [[ -n $index ]]; then printf 'export PIP_INDEX_URL=%q UV_DEFAULT_INDEX=%q\n' "$index" "${UV_DEFAULT_INDEX:-$index}"; fi >"$1/host"
}

build() { # name reference
  local uv_cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
  mkdir -p "$uv_cache" # the host's own, so that what any clone downloaded serves here too
  secrets "$scratch"
  logged "$1" builder build --isolation chroot --layers --pull-never --build-arg "BASE=$base" --build-arg "ENGINE=$engine" \
    --build-context "bin=$bin" --secret "id=ca,src=$scratch/ca" --secret "id=host,src=$scratch/host" --volume "$uv_cache:/run/uv" \
    --file "$root/images/$1/Dockerfile" --tag "$2" "$root"
}

digests() { grep -ohE '"digest": *"sha256:[0-9a-f]{64}' "$@" | grep -oE '[0-9a-f]{64}' | sort -u; }

adopt() { # digest: make a blob of ours the node's, without a copy
  local blob=$state/blobs/sha256/$1
  # containerd registers what it finds under its own name and reads nothing; were the link gone by then, it would read the blob itself.
  ln -f "$blob" "$state/containerd/io.containerd.content.v1.content/blobs/sha256/$1" 2>/dev/null || true
  node_images content ingest --expected-digest "sha256:$1" --expected-size "$(stat -c %s "$blob")" "adopt-$1" <"$blob" >/dev/null
  node_images content label "sha256:$1" containerd.io/gc.root=loading >/dev/null # or it could be collected before its image is known
}

load() { # reference: hand the node those layers alone that it lacks
  local layout=$scratch/layout blobs=$state/blobs/sha256 manifest missing blob
  rm -rf "$layout"
  # Uncompressed, and beside the layers of the other images: a layer is written once, and gzip would take minutes.
  skopeo copy --quiet --dest-oci-accept-uncompressed-layers --dest-shared-blob-dir "$state/blobs" \
    "containers-storage:[overlay@$state/build+$run/build]$1" "oci:$layout" >&2
  manifest=$(digests "$layout/index.json")
  cat >"$layout/index.json" <<JSON
{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:$manifest",
 "size": $(stat -c %s "$blobs/$manifest"), "annotations": {"io.containerd.image.name": "$1"}}]}
JSON
  missing=$({ echo "$manifest"; digests "$blobs/$manifest"; } | sort -u | comm -23 - <(node_images content ls -q | cut -d: -f2 | sort))
  for blob in $missing; do adopt "$blob"; done
  mkdir -p "$layout/blobs/sha256" && cp "$blobs/$manifest" "$layout/blobs/sha256/"
  tar -C "$layout" -cf - oci-layout index.json "blobs/sha256/$manifest" | node_images images import - >/dev/null
  for blob in $missing; do node_images content label "sha256:$blob" containerd.io/gc.root= >/dev/null; done
}

forget() { # name: all but the two newest images and those that pods use, since each change of a lock makes one of gigabytes
  local used old
  used=$(node_images containers ls | awk 'NR > 1 {print $2}')
  builder images --filter "reference=localhost/selftrain/$1" --format '{{.Name}}:{{.Tag}}' | tail -n +3 | grep -vFx "$used" | while read -r old; do
    node_images images rm --sync "$old" >/dev/null 2>&1 || true # not there after an interrupted load
    builder rmi "$old" >/dev/null 2>&1 || true # held by what an interrupted build left
  done || true
  find "$state/blobs/sha256" -type f -links 1 -delete # not the node's, so of no image any more
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in "$@"; do
  reference=localhost/selftrain/$name:$(key "$name")
  if [[ -z $(node_images images ls -q "name==$reference") ]]; then
    echo "building $reference" >&2
    build "$name" "$reference"
    echo "loading $reference" >&2
    load "$reference"
    forget "$name"
  fi
  echo "$name=$reference"
done
