#!/usr/bin/env bash
# Print the archive of the pods' sandbox image, made from the binary $1: the node needs it before anything could build an image.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
install -D "$1" "$folder/root/pause"
cd "$folder"
tar --owner 0 --group 0 --numeric-owner --mtime @0 -C root -cf layer.tar pause
cat >config.json <<JSON
{"architecture": "$(go env GOARCH)", "os": "linux", "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum layer.tar | cut -d' ' -f1)"]}}
JSON
echo '[{"Config": "config.json", "RepoTags": ["localhost/selftrain/pause:1"], "Layers": ["layer.tar"]}]' >manifest.json
tar -cf - manifest.json config.json layer.tar
