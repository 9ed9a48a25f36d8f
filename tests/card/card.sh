#!/bin/bash
# A sound card made of software, for tests on a machine that has none: PulseAudio null sinks on a
# private socket, behind the ALSA names `default`, `mic` and `speaker`, in real time.
#
#   card.sh start DIR            start it; prints the environment, one NAME=VALUE a line
#   card.sh say DIR FILE.wav     speak a file into the microphone; returns when it has been spoken
#   card.sh hear DIR SECONDS     what the speaker plays, as raw 48 kHz mono 16 bit on stdout
#   card.sh stop DIR
#
# CARD_MIC_RATE and CARD_MIC_CHANNELS give the microphone's own shape (48000, 1). With CARD_ECHO_MS the
# microphone hears the speaker, so many milliseconds late or a little more.
set -euo pipefail

fail() {
    echo "card.sh: $*" >&2
    exit 1
}

# Each tool with the Debian package that has it.
need() {
    local pair
    for pair in pulseaudio:pulseaudio pactl:pulseaudio-utils parec:pulseaudio-utils paplay:pulseaudio-utils; do
        command -v "${pair%%:*}" >/dev/null || fail "needs the package ${pair##*:}"
    done
    compgen -G '/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so' >/dev/null ||
        fail "needs the package libasound2-plugins"
    [ -f /usr/share/alsa/alsa.conf ] || fail "needs the package libasound2-data"
}

# Real-time priority, as a card and its driver have it, where the machine grants it: otherwise a
# busy machine makes gaps that no program could prevent.
promptly() {
    if chrt -f 20 true 2>/dev/null; then
        exec chrt -f 20 "$@"
    fi
    exec "$@"
}

write_files() {
    # norewinds=1 lets a null sink tick at the pace of its clients; without it a block is 2 s long.
    cat >"$dir/pulse.pa" <<PA
load-module module-native-protocol-unix auth-anonymous=1 socket=$dir/socket
load-module module-null-sink norewinds=1 sink_name=speaker rate=48000 channels=2
load-module module-null-sink norewinds=1 sink_name=voice rate=${CARD_MIC_RATE:-48000} channels=${CARD_MIC_CHANNELS:-1}
load-module module-remap-source source_name=mic master=voice.monitor
set-default-sink speaker
set-default-source mic
${CARD_ECHO_MS:+load-module module-loopback source=speaker.monitor sink=voice latency_msec=$CARD_ECHO_MS}
PA
    cat >"$dir/asound.conf" <<ALSA
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse hint { show on description "the card of the tests" } }
ctl.!default { type pulse }
pcm.mic { type pulse device mic hint { show on description "microphone of the tests" } }
pcm.speaker { type pulse device speaker hint { show on description "speaker of the tests" } }
ALSA
}

start() {
    need
    mkdir -p "$dir/home" "$dir/run"
    chmod 700 "$dir/run"
    write_files
    HOME=$dir/home XDG_RUNTIME_DIR=$dir/run PULSE_RUNTIME_PATH=$dir/run PULSE_STATE_PATH=$dir/run \
        setsid pulseaudio -n -F "$dir/pulse.pa" --daemonize=no --exit-idle-time=-1 \
        --use-pid-file=no --disable-shm=yes --log-target="file:$dir/log" \
        </dev/null >/dev/null 2>&1 &
    echo $! >"$dir/pid"
    disown
    local i
    for ((i = 0; i < 100; i++)); do
        if PULSE_SERVER=unix:$dir/socket pactl list short sources 2>/dev/null | grep -qw mic; then
            # Its sink threads ask for real-time priority themselves, the one that serves clients not.
            chrt -f -p 20 "$(cat "$dir/pid")" 2>/dev/null || true
            echo "PULSE_SERVER=unix:$dir/socket"
            echo "ALSA_CONFIG_PATH=$dir/asound.conf"
            return
        fi
        kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 "$dir/log" >&2 || true
    fail "pulseaudio did not start"
}

stop() {
    [ -f "$dir/pid" ] || return 0
    kill "$(cat "$dir/pid")" 2>/dev/null || true
    rm -f "$dir/pid"
}

dir=${2:?a folder}
export PULSE_SERVER=unix:$dir/socket
case ${1:-} in
start) start ;;
say) promptly paplay --latency-msec=200 --device=voice "${3:?a WAV file}" ;;
hear)
    # The subshell keeps this one to judge the status: the end of the time is no failure.
    (promptly timeout "${3:?seconds}" parec --latency-msec=200 --device=speaker.monitor \
        --format=s16le --rate=48000 --channels=1) || [ $? -eq 124 ]
    ;;
stop) stop ;;
*) fail "start, say, hear or stop, not '${1:-}'" ;;
esac
