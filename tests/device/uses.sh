# Every feature that a container can have, used once through the unit in its sandbox: read by task.sh.
# A browser's part is played by a small Socket.IO client over long polling.
# shellcheck shell=bash disable=SC2034,SC2154 # unit and check are task.sh's

port=8080
own=/var/lib/grok-speaker
cookie='' csrf='' sid='' heard='' acks=0

# http METHOD PATH [BODY]: the answer, its head too.
http() {
    local body=${3-}
    exec 5<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\nCookie: %s\r\nContent-Length: %s\r\n\r\n%s' \
        "$1" "$2" "$port" "$cookie" "$(printf %s "$body" | wc -c)" "$body" >&5
    timeout 20 cat <&5
    exec 5>&-
}
# Of a JSON text: the value of a word.
word() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Pairs with a code of the command, and opens a session.
join_panel() {
    local code answer
    code=$($unit pair 2>/tmp/pair.log) || return 1
    answer=$(http POST /api/pair "{\"code\":\"$code\",\"name\":\"test\"}")
    cookie=$(sed -n 's/^set-cookie: \([^;]*\);.*/\1/p' <<<"$answer")
    csrf=$(word csrf <<<"$answer")
    [ -n "$cookie" ] && [ -n "$csrf" ] && come_back
}
come_back() {
    sid=$(http GET '/socket.io/?EIO=4&transport=polling' | word sid)
    heard=''
    post "40{\"csrf\":\"$csrf\"}" && within 5 'poll; [[ $heard == *grok-voice:hello* ]]'
}
post() { http POST "/socket.io/?EIO=4&transport=polling&sid=$sid" "$1" | grep -q '^ok'; }
poll() {
    local got
    # Without sound: the shell would search through it.
    got=$(http GET "/socket.io/?EIO=4&transport=polling&sid=$sid" | sed '1,/^\r$/d; s/\x1eb[^\x1e]*//g; s/^b[^\x1e]*//')
    heard+=$'\x1e'$got
    [[ $'\x1e'$got$'\x1e' != *$'\x1e2\x1e'* ]] || post 3
}
# ask EVENT PAYLOAD: its acknowledgement in $answer.
ask() {
    local end=$((SECONDS + 20))
    acks=$((acks + 1))
    heard=''
    post "42$acks[\"grok-voice:$1\",$2]" || return 1
    until [[ $heard == *"43$acks["* ]]; do
        [ $SECONDS -lt $end ] || return 1
        poll
    done
    answer=${heard#*"43$acks["}
    answer=${answer%%$'\x1e'*}
}
# asked EVENT PAYLOAD PATTERN: it is done, and the answer has this in it.
asked() {
    ask "$1" "$2" && [[ $answer == *'"ok":true'* && $answer == *$3* ]] ||
        { echo "$1: $answer" | cut -c1-300; false; }
}
# told PATTERN: a panel is told this within 15 s.
told() {
    local end=$((SECONDS + 15))
    until [[ $heard == *$1* ]]; do
        [ $SECONDS -lt $end ] || return 1
        poll
    done
}

use_everything() {
    # A network of its own, so that there is somebody to say the name to.
    mkdir -p /run/systemd/network
    printf '[NetDev]\nName=lan0\nKind=veth\n[Peer]\nName=lan1\n' >/run/systemd/network/lan.netdev
    printf '[Match]\nName=lan0\n[Network]\nAddress=10.77.0.1/24\n' >/run/systemd/network/lan0.network
    printf '[Match]\nName=lan1\n[Network]\nLinkLocalAddressing=no\n' >/run/systemd/network/lan1.network
    systemctl start systemd-networkd
    # Words that are spoken, a voice service that hears them, and pins that are not there.
    systemd-run -q --unit=standin -p DynamicUser=yes $unit standin --listen 127.0.0.1:9000 --key the-key-of-the-panel-4711 --transcript 'Good evening.'
    mkdir -p /usr/share/$unit/board/pins
    printf '[buttons]\ntalk = 17\nmute = 22\n' >/usr/share/$unit/board/pins/profile.toml
    install -m 644 /share/two_turns.wav /usr/share/$unit/
    cat >/etc/$unit/conf.d/uses.toml <<'TOML'
[grok]
url = "ws://127.0.0.1:9000/v1/realtime"
[audio]
input = "file:/usr/share/grok-speaker/two_turns.wav"
output = "file:/var/lib/grok-speaker/said.wav"
[turn]
mode = "open"
[board]
profile = "pins"
[panel]
listen_tls = "0.0.0.0:8443"
[log]
level = "debug"
TOML
    mv /etc/$unit/xai_api_key /run/
    check "starts with a file for a card, pins that are not there and TLS" "systemctl start $unit && within 10 'http GET /healthz | grep -q ok\$'"
    check "what it cannot have of the board is said" "said 'buttons.talk = 17'"
    check "a panel pairs by the code of the command" "join_panel"
    check "the command tells the address and the fingerprint" "grep -q ':8080/' /tmp/pair.log && grep -q fingerprint /tmp/pair.log"
    check "pairings are kept, for its own user alone" "[ \$(stat -c %a:%U $own/sessions.json) = 600:$unit ]"
    check "a key is tried, kept for its own user alone and used" \
        "asked key '{\"key\":\"the-key-of-the-panel-4711\",\"accept\":true}' '\"ends\":\"4711\"' && [ -z \"\$(find $own -name '*key*' ! -perm 600)\" ]"
    check "a typed turn is answered" "asked text '{\"text\":\"Do you hear me?\"}' '' && told 'You wrote: Do you hear me?'"
    check "it sounds: what was said is in the file" "within 10 '[ \$(stat -c %s $own/said.wav) -gt 40000 ]'"
    check "a setting is changed and kept" "asked settings '{\"changes\":{\"panel.name\":\"Kitchen\"}}' Kitchen && within 5 'grep -q Kitchen $own/settings.json'"
    check "volume, mute and talk are heard" \
        "asked volume '{\"percent\":41}' '' && asked mute '{\"on\":true}' '' && asked mute '{\"on\":false}' '' && asked talk '{\"on\":true}' '' && asked talk '{\"on\":false}' '' && asked stop '{}' ''"
    check "the test sound" "asked tone '{}' ''"
    check "listening and inspecting" "asked listen '{\"on\":true}' '' && asked inspect '{\"on\":true}' '' && asked inspect '{\"on\":false}' ''"
    check "health from /proc and /sys" "asked health '{}' '\"device\"' && [[ \$answer == *memory* && \$answer == *disk* ]]"
    check "the log" "asked logs '{\"level\":\"info\"}' '\"lines\"'"
    check "the support bundle" "asked bundle '{}' '\"config\"'"
    check "the cards: none, and said so" "asked cards '{}' '\"cards\":\[\]'"
    check "the paired clients, and a code for one more" "asked clients '{}' '\"me\":true' && asked invite '{\"role\":\"viewer\"}' '\"code\"'"
    check "the set-up is remembered" "asked setup '{\"step\":\"voice\",\"over\":false}' voice && grep -q voice $own/setup.json"
    check "metrics" "http GET /metrics | grep -q '^grok_speaker_panel_clients 1'"
    check "the certificate is kept for its own user alone, and is good for a browser that trusts the authority" \
        "[ \$(stat -c %a:%U $own/tls.json) = 600:$unit ] && http GET /ca.crt | sed -n '/BEGIN/,/END/p' >/tmp/ca.crt && openssl s_client -connect 127.0.0.1:8443 -CAfile /tmp/ca.crt -verify_return_error -verify_ip 127.0.0.1 </dev/null >/tmp/tls.log 2>&1"
    check "it answers for its name on the network" "within 15 'grep -q mDNS /proc/\$(shown MainPID)/task/*/comm' && grep -q ':14E9 ' /proc/\$(shown MainPID)/net/udp"
    check "and tells the address of that network" "$unit status | grep 'http://10.77.0.1:8080/' >/dev/null"
    check "a spoken turn, heard from the file and answered" "systemctl restart $unit && within 10 'http GET /healthz | grep -q ok\$' && come_back && told 'You said: '"
    check "the name and the pairing outlived that" "$unit status | grep '^name: Kitchen' >/dev/null && asked clients '{}' '\"me\":true'"
    # What is refused is an error of a call, and whoever made it says so. A container may not be able to give
    # anybody a real-time priority, sandbox or none.
    local beside='no real-time priority'
    ! systemd-run -q --wait -p DynamicUser=yes -p LimitRTPRIO=20 chrt -f 10 true || beside='^$'
    check "the sandbox refused nothing" \
        "! journalctl -u $unit -o cat --no-pager | grep -v '$beside' | grep 'not permitted\|EPERM\|ermission denied'"
    systemctl stop $unit standin
    check "what it said is a whole file" "[ \$(head -c 4 $own/said.wav) = RIFF ] && [ \$(od -An -td4 -j40 -N4 $own/said.wav) -gt 0 ]"
    rm /etc/$unit/conf.d/uses.toml
    mv /run/xai_api_key /etc/$unit/
}
