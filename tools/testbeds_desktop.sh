#!/usr/bin/env bash
# tools/testbeds desktop: build tools/examples/desktop, open it on a screen in memory, type into it, and look at the pixels.
#
# Needs Debian's libgtk-4-dev, xvfb, xdotool and imagemagick, which it installs, and a build in build/ (tools/quickstart).
# The screenshot stays in build-testbeds/desktop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/packages.sh
work=$PWD/build-testbeds/desktop
mkdir -p "$work"
install_packages "$work/packages.log" libgtk-4-dev xvfb xdotool imagemagick
export REPRISE_CACHE_DIR=$work/cache GSK_RENDERER=cairo DISPLAY=:77
# shellcheck disable=SC2046
cc -Wall -Wextra -Werror -Iinclude tools/examples/desktop/desktop.c $(pkg-config --cflags --libs gtk4) -Lbuild -lreprise \
    -Wl,-rpath,"$PWD/build" -o "$work/reprise-desktop"

Xvfb :77 -screen 0 640x480x24 >"$work/xvfb.log" 2>&1 &
screen=$!
trap 'kill $screen' EXIT
for _ in $(seq 50); do xdotool getdisplaygeometry >/dev/null 2>&1 && break || sleep 0.2; done

models=(sentiment)
[ ! -d tools/models/entities ] || models+=(entities)
"$work/reprise-desktop" "${models[@]}" 2>"$work/log" &
app=$!
window=$(timeout 60 xdotool search --sync --name '^Reprise$' | head -n 1)
xdotool windowfocus "$window"

# pixels COLOUR FILE: how many there are of about this colour.
pixels() { convert "$2" -fuzz 12% -fill black +opaque "$1" -fill white -opaque "$1" -format '%[fx:round(mean*w*h)]' info:; }
# shows FILE COLOUR LEAST MOST TEXT: type the text; within a minute the screen has so many pixels of the colour.
shows() {
    xdotool key --window "$window" ctrl+a BackSpace
    xdotool type --window "$window" --delay 20 "$5"
    local count=0
    for _ in $(seq 60); do
        sleep 1
        import -window root "$work/$1.png"
        count=$(pixels "$2" "$work/$1.png")
        [ "$count" -lt "$3" ] || [ "$count" -gt "$4" ] || return 0
    done
    say "$1: $count pixels of $2, between $3 and $4 are right; see $work/$1.png"
    return 1
}
green="#33d17a" blue="#3584e4" yellow="#ffd866"
shows sure "$green" 3000 100000 "a warm and funny film"   # a bar that is full
shows unsure "$blue" 4500 5500 "a warm and funny film, but an hour too long" # two bars, which add up to one
[ ${#models[@]} = 1 ] || shows names "$yellow" 300 100000 "Barack Obama met Angela Merkel in Berlin ."
xdotool key --window "$window" ctrl+q 2>"$work/xdotool.log" || true # the window is gone before the key is up
for _ in $(seq 50); do kill -0 $app 2>/dev/null && sleep 0.2 || break; done
wait $app
say "desktop: passed"
