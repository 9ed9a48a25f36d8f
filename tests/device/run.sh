#!/bin/bash
# Installs the package on a Debian system of its own, as README.md tells an owner to, boots that system
# with systemd in a container, and checks the unit alive: ready, watchdog, sandbox, credential, exit 78,
# every feature that needs no card or pins used once in that sandbox, and that the package goes as it came.
#
#   tests/device/run.sh      needs root and the package of `.ci/deb`; `make device-test`
#
# A container has no card, pins or Wi-Fi: what is checked here is the service.
set -euo pipefail
cd "$(dirname "$0")/../.."
package=(target/deb/grok-speaker_*_"$(dpkg --print-architecture)".deb)
BOOT_AND_CHECK_S=180
work=$PWD/target/device
tree=$work/tree share=$work/share
[ "$(id -u)" = 0 ] || { echo "tests/device/run.sh needs root" >&2; exit 1; }
[ -e "${package[0]}" ] || { echo "no ${package[0]}; make device-test builds it" >&2; exit 1; }
.ci/setup device
. /etc/os-release

if [ ! -e "$work/ready" ]; then
    rm -rf "$tree"
    mkdir -p "$work"
    # shellcheck disable=SC2016 # apt expands these
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Identifier: Packages' 'Origin: Debian' |
        awk -v suite="$VERSION_CODENAME" '$2 == suite { print $1; exit }')
    sound=$(apt-cache depends libasound2-dev | awk '/Depends: libasound2/ { print $2; exit }')
    debootstrap --variant=minbase --include="systemd,systemd-sysv,dbus,procps,ca-certificates,$sound" \
        "$VERSION_CODENAME" "$tree" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 5 "$work/debootstrap.log" >&2; exit 1; }
    touch "$work/ready"
fi

# What the owner copies to the board, and the steps of the README: the block of commands that follows this line.
rm -rf "$share"
mkdir -p "$share/files"
cp "${package[@]}" "$share/files/"
awk '/^On the Pi, in the folder/ { on = 1 } on && /^```/ { n++; next } on && n == 1 { print } n == 2 { exit }' README.md |
    # Nobody is there to say yes, and no network.
    sed 's/apt-get install/apt-get install -y --no-install-recommends/' >"$share/install.sh"
cp tests/device/task.sh tests/device/uses.sh tests/speech/two_turns.wav "$share/"
cat >"$share/device-task.service" <<'UNIT'
[Unit]
After=basic.target
[Service]
Type=simple
WorkingDirectory=/share/files
ExecStart=/bin/bash -c "bash /share/task.sh >/share/result 2>&1; systemctl poweroff"
UNIT
install -m 644 "$share/device-task.service" "$tree/etc/systemd/system/"
mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
ln -sf ../device-task.service "$tree/etc/systemd/system/multi-user.target.wants/"

# The task ends by switching the system off; every run starts from the same clean disk.
timeout "$BOOT_AND_CHECK_S" systemd-nspawn -q -D "$tree" --volatile=overlay --boot --register=no --keep-unit \
    --private-network -M "device$$" --bind="$share:/share" </dev/null >"$share/console.log" 2>&1 || true
[ -s "$share/result" ] || { tail -n 20 "$share/console.log" >&2; echo "the system did not come to its task" >&2; exit 1; }
cat "$share/result"
grep -q ' passed, 0 failed$' "$share/result"
