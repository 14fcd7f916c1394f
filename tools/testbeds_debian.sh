#!/usr/bin/env bash
# tools/testbeds debian: build the Debian packages, install them in a new root of debootstrap, and run their tests there, as
# root. The packages and logs stay in build-testbeds/debian. Some ten minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
. /etc/os-release
work=$PWD/build-testbeds/debian root=$PWD/build-testbeds/debian/root
mkdir -p "$work"
install_packages "$work/packages.log" debootstrap
say "Building the packages"
tools/debian/build "$work/packages"

say "Setting up a root of ${VERSION_CODENAME:-bookworm}"
rm -rf "$root"
quietly "$work/debootstrap.log" debootstrap --variant=minbase "${VERSION_CODENAME:-bookworm}" "$root"
mkdir "$root/packages"
cp "$work/packages/"*.deb "$root/packages"
cp -R tools/debian/tests "$root/packages"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"

# What the root is to do: install, run debian/tests, remove without a trace.
cat >"$root/packages/run" <<'END'
set -eux
cd /packages
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
apt-get update -qq
apt-get install -y -qq --no-install-recommends ./libreprise0.2_*.deb ./reprise_*.deb ./reprise-models_*.deb \
    mesa-vulkan-drivers
sh tests/command
sh tests/serve
apt-get install -y -qq --no-install-recommends ./*.deb gcc libc6-dev pkg-config
sh tests/c-program
sh tests/python
apt-get purge -y -qq 'libreprise*' reprise reprise-models
[ -z "$(find / -xdev -name '*reprise*' -not -path '/packages/*' -not -path '/tmp/*' -not -path '/proc/*' \
    -not -path '/var/lib/apt/*')" ]
END
say "Installing and testing in it"
# shellcheck disable=SC2016
quietly "$work/run.log" unshare --mount --pid --fork --kill-child bash -c 'mount --make-rprivate / &&
    mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh /packages/run' - "$root"
grep -A2 '^+ sh tests' "$work/run.log" | grep -v '^--' || true
say "debian: passed"
