#!/usr/bin/env bash
# Builds Monica's images from the Dockerfile without a Docker engine: image/build.sh STORE TARGET...
#
# It needs root, and Debian's debootstrap, buildah, podman and runc. Everything is stored in the folder STORE. The base
# image debian:bookworm-slim is made from Debian's packages instead of being pulled; the Dockerfile is built unchanged.
set -euo pipefail
cd "$(dirname "$0")/.."

store=${1:?usage: image/build.sh STORE TARGET...}
shift
base=docker.io/library/debian:bookworm-slim

fail() {
    echo "image/build.sh: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, for debootstrap and chroot"
for program in debootstrap buildah podman runc; do
    command -v "$program" >/dev/null || fail "$program is missing; on Debian: apt install debootstrap buildah podman runc"
done

storage=(--root "$store/storage" --runroot "$store/run")
export TMPDIR=$store/tmp # buildah puts its cache mounts there
mkdir -p "$TMPDIR"
work=$(mktemp -d "$store/build.XXXXXX")
trap 'rm -rf "$work"' EXIT

if ! podman "${storage[@]}" image exists "$base"; then
    debootstrap --variant=minbase bookworm "$work/debian" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$store/debootstrap.log" \
        || fail "debootstrap failed, see $store/debootstrap.log"
    # Remove what the slim image leaves out.
    rm -rf "$work"/debian/usr/share/{doc,man,info,locale}/* "$work"/debian/var/{cache/apt,lib/apt/lists}/*
    tar -C "$work/debian" -c . | podman "${storage[@]}" import --quiet --change 'CMD ["bash"]' - "$base"
fi

# The build context: every file git tracks or would track, plus planted files that must never get into an image.
git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$work" --one-top-level=context
echo "MONICA_API_KEY=planted-secret" >"$work/context/.env"
for name in 26-monica--interview.wav monica/planted.wav monica/.env; do
    echo "planted-recording" >"$work/context/$name"
done

# If a proxy with its own certificate is between this machine and the package indexes, the build trusts it like the
# machine does. The files are mounted, so they get into no image.
mounts=()
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    echo "system-certs = true" >"$work/uv.toml"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$work/pip.conf"
    mounts=(
        --volume /etc/ssl/certs/ca-certificates.crt:/usr/local/share/ca-certificates/host.crt:ro
        --volume "$work/uv.toml:/etc/uv/uv.toml:ro"
        --volume "$work/pip.conf:/etc/pip.conf:ro"
    )
fi

for target in "$@"; do
    began=$SECONDS
    buildah "${storage[@]}" build --isolation chroot --network host --format docker --layers --pull-never "${mounts[@]}" \
        --target "$target" --tag "localhost/monica:$target" "$work/context" \
        || fail "the Dockerfile's target $target cannot be built"
    echo "image/build.sh: monica:$target built in $((SECONDS - began)) s"
done
