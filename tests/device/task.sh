#!/bin/bash
# Runs inside the container as root, in the folder the owner's files were copied to.
set -u
unit=grok-speaker
passed=0 failed=0
. /share/uses.sh

check() {
    if eval "$2"; then
        echo "ok: $1"
        passed=$((passed + 1))
    else
        echo "FAILED: $1"
        failed=$((failed + 1))
    fi
}
sudo() { "$@"; }
shown() { systemctl show -p "$1" --value "$unit"; }
said() { journalctl -u "$unit" -o cat --no-pager | grep -q "$1"; }
override() {
    mkdir -p "/run/systemd/system/$unit.service.d"
    printf '[Service]\n%s\n' "$@" >"/run/systemd/system/$unit.service.d/test.conf"
    systemctl daemon-reload
}
# within SECONDS COMMAND: until it holds.
within() {
    local i
    for ((i = 0; i < $1 * 10; i++)); do
        eval "$2" && return 0
        sleep 0.1
    done
    return 1
}

check "the README's step installs it" ". /share/install.sh >/tmp/install.log 2>&1 || { cat /tmp/install.log; false; }"
check "starts without key, card or network, and says it is ready" "within 10 '[ \$(shown ActiveState) = active ]'"
check "and with the system" "systemctl is-enabled -q $unit"
pid=$(shown MainPID)
check "runs as its own user" "[ \$(ps -o user= -p $pid | cut -c1-4) = grok ]"
check "can gain no privilege" "grep -q 'NoNewPrivs:.1' /proc/$pid/status"
check "its calls are filtered" "grep -q 'Seccomp:.2' /proc/$pid/status"
check "has no capability" "grep -q 'CapEff:.0000000000000000' /proc/$pid/status"
check "status answers" "$unit status >/tmp/status.log 2>&1 || { cat /tmp/status.log; false; }"
begun=$(date +%s%N)
systemctl stop $unit
took=$((($(date +%s%N) - begun) / 1000000))
check "ends within 2 s (${took} ms)" "[ $took -le 2000 ] && [ \$(shown Result) = success ]"

printf 'xai-secret-of-the-test\n' >/etc/grok-speaker/xai_api_key
chmod 600 /etc/grok-speaker/xai_api_key
override WatchdogSec=2 RestartSec=1
systemctl start $unit
sleep 6
check "feeds the watchdog" "[ \$(shown NRestarts) = 0 ] && [ \$(shown ActiveState) = active ]"
check "the key is in no log" "! said xai-secret-of-the-test"
kill -STOP "$(shown MainPID)"
check "a hang is ended and started again" "within 20 'said \"Watchdog timeout\" && [ \$(shown NRestarts) -ge 1 ] && [ \$(shown ActiveState) = active ]'"
systemctl stop $unit

mkdir -p /etc/grok-speaker/conf.d
use_everything

printf '[turn]\nmoed = "open"\n' >/etc/grok-speaker/conf.d/wrong.toml
systemctl start $unit 2>/dev/null
check "a wrong key ends it with 78" "within 5 '[ \$(shown ExecMainStatus) = 78 ]'"
sleep 3
check "and it is not started again" "[ \$(shown ActiveState) = failed ]"
check "and is named" "said moed"
rm /etc/grok-speaker/conf.d/wrong.toml
systemctl reset-failed $unit
check "runs again when it is right" "systemctl start $unit"

printf '\n# mine\n' >>/etc/grok-speaker/config.toml
check "a new package keeps the owner's configuration and starts the service anew" \
    "dpkg -i /share/files/*.deb >/tmp/again.log 2>&1 && grep -q '^# mine' /etc/grok-speaker/config.toml && within 10 '[ \$(shown ActiveState) = active ]'"
check "removing it stops the service and keeps what it knows" \
    "dpkg -r $unit >/tmp/remove.log 2>&1 && ! pgrep -x $unit >/dev/null && [ -d /var/lib/private/$unit -o -d /var/lib/$unit ] && [ -e /etc/grok-speaker/xai_api_key ]"
check "purging it leaves nothing" "dpkg -P $unit >/tmp/purge.log 2>&1 && [ ! -e /var/lib/$unit ] && [ ! -e /etc/grok-speaker ]"

[ $failed = 0 ] || journalctl -u $unit --no-pager | tail -n 60
echo "$passed passed, $failed failed"
