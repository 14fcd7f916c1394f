#!/usr/bin/env bash
# tools/testbeds newcomer [--here] [STEP...]: walk the way of somebody who finds Reprise today, and say at each step how long
# it took and whether it led where the documentation says. Without the step `clone` it goes on where it was left.
#
# As root with debootstrap, the way starts in a clean root: Debian's smallest system, in which the packages of quickstart
# have to be installed, and a second one without compilers for the deployment. With --here, or where that cannot be had, it
# starts in a clean home folder of this system instead, which hides what this system has installed; the first line says
# which. What is cloned is the commit at hand, not changes beyond it. Some ten minutes on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source=$PWD
. tools/packages.sh
steps=(clone quickstart csv files search install cmake makefile cancel deploy wheel versions uninstall)
cache=${REPRISE_TESTBEDS:-${XDG_CACHE_HOME:-$HOME/.cache}/reprise-testbeds}
work=$source/build-testbeds/newcomer
here=
if [ "${1-}" = --here ]; then here=yes && shift; fi
case ${1-} in -*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit 2 ;; esac
[ $# = 0 ] || steps=("$@")

# The smallest system, kept in the cache; false where it cannot be made.
base=$cache/newcomer-base
make_base() {
    [ ! -e "$base/.complete" ] || return 0
    [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null && unshare --mount true 2>/dev/null || return 1
    say "Setting up $base"
    rm -rf "$base"
    mkdir -p "$cache"
    quietly "$work/debootstrap.log" debootstrap --variant=minbase "${VERSION_CODENAME:-bookworm}" "$base" &&
        touch "$base/.complete"
}

# inside ROOT COMMAND...: run it in that root (/: in this system), from a home that holds only the clone, with nothing of
# this shell's environment. The mounts end with the command.
inside() {
    local root=$1 home=/home/newcomer
    shift
    if [ "$root" = / ]; then
        home=$work/home
        (cd "$home" && env -i PATH="$PATH" HOME="$home" LANG=C.UTF-8 "$@")
        return
    fi
    # shellcheck disable=SC2016  # the inner shell expands them
    unshare --mount --pid --fork --kill-child bash -c 'root=$1 home=$2 && shift 2
        mount --make-rprivate / && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
        cp -L /etc/resolv.conf "$root/etc/resolv.conf"
        exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" \
            LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash -c "cd && exec \"\$@\"" - "$@"' - "$root" "$home" "$@"
}

# ---- the steps: each runs in the clone of the root, with the prefix in $prefix ----

step_clone() {
    rm -rf "${home_here:?}"
    mkdir -p "$home_here"
    git clone --quiet --no-hardlinks "$source" "$home_here/reprise"
    cp tools/newcomer/* "$home_here"
}

step_quickstart() {
    [ -z "$root_is_clean" ] || inside "$root" apt-get update
    inside "$root" reprise/tools/quickstart "a warm and funny film" "an hour too long and not one laugh"
    inside "$root" sh -c 'reprise/build/reprise classify --json "a warm and funny film" | grep POSITIVE.*NEGATIVE'
}

step_csv() { inside "$root" sh csv.sh; }
step_files() { inside "$root" sh files.sh; }

step_search() {
    [ -z "$root_is_clean" ] || inside "$root" apt-get install -y --no-install-recommends python3-numpy
    inside "$root" sh search.sh
}

step_install() { inside "$root" cmake --install reprise/build --prefix "$prefix"; }
step_cmake() { inside "$root" sh cmake.sh "$prefix"; }
step_makefile() { inside "$root" sh makefile.sh "$prefix"; }
step_cancel() { inside "$root" sh cancel.sh "$prefix"; }

# What the documentation says a program needs, in a system that has no compiler and never saw the build.
step_deploy() {
    local target=$work/deploy
    [ -n "$root_is_clean" ] || { echo "needs a second root" && return 77; }
    rm -rf "$target"
    cp -a "$base" "$target"
    mkdir -p "$target/home/newcomer" "$target$prefix/lib" "$target$prefix/libexec" "$target$prefix/share"
    inside "$target" apt-get update
    inside "$target" apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers
    cp -a "$root$prefix"/lib/libreprise.so.* "$target$prefix/lib"
    cp -a "$root$prefix"/libexec/reprise-* "$target$prefix/libexec"
    cp -a "$root$prefix"/share/reprise-* "$target$prefix/share"
    cp "$home_here/app" "$target/home/newcomer"
    inside "$target" sh -c '! command -v cc c++ cmake'
    inside "$target" sh -c './app sentiment "a warm and funny film" | grep "POSITIVE: a warm"'
}

# pip install of the wheel and three lines of Python, in a system without compilers.
step_wheel() {
    local target=$work/wheel wheel
    wheel=$(ls "$source/build-testbeds/python/wheels/"*"_$(uname -m).whl" 2>/dev/null | head -n 1)
    [ -n "$wheel" ] || { echo "needs the wheel that tools/testbeds python builds" && return 77; }
    [ -n "$root_is_clean" ] || { echo "needs a second root" && return 77; }
    rm -rf "$target"
    cp -a "$base" "$target"
    mkdir -p "$target/home/newcomer"
    cp "$wheel" "$target/home/newcomer"
    inside "$target" apt-get update
    inside "$target" apt-get install -y --no-install-recommends python3-venv mesa-vulkan-drivers
    inside "$target" python3 -m venv venv
    inside "$target" sh -c 'venv/bin/pip install ./*.whl'
    printf '%s\n' 'import reprise' 'classify = reprise.pipeline("sentiment-analysis")' \
        'print(classify("a warm and funny film"))' >"$target/home/newcomer/three.py"
    inside "$target" venv/bin/python three.py >"$target/said"
    cat "$target/said"
    grep -q -F "[{'label': 'POSITIVE', 'score': 0.998" "$target/said"
}

step_versions() { inside "$root" sh versions.sh "$prefix"; }
step_uninstall() { inside "$root" sh uninstall.sh "$prefix"; }

. /etc/os-release
mkdir -p "$work"
root=/ root_is_clean='' home_here=$work/home prefix=$work/prefix
if [ -z "$here" ] && make_base; then
    root=$work/root root_is_clean=yes home_here=$work/root/home/newcomer prefix=/opt/reprise
    case " ${steps[*]} " in *" clone "*) rm -rf "$root" && cp -a "$base" "$root" ;; esac
    say "In a clean root of ${PRETTY_NAME-Debian}, $root"
else
    case " ${steps[*]} " in *" clone "*) rm -rf "$prefix" ;; esac
    say "In a clean home and prefix of this system, not in a clean root: what is installed here is there"
fi
failed=0
for step in "${steps[@]}"; do
    started=$SECONDS status=0 log=$work/$step.log
    (set -e; "step_$step") >"$log" 2>&1 </dev/null || status=$?
    case $status in
    0) verdict=passed ;;
    77) verdict="left out: $(tail -n 1 "$log")" ;;
    *) verdict="FAILED, see ${log#"$source"/}" failed=1 ;;
    esac
    printf '%-11s %5d s  %s\n' "$step" $((SECONDS - started)) "$verdict"
done
exit $failed
