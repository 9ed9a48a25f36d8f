#!/bin/bash
# Makes the speech of the demo and the tests anew: `make speech`. The same programs make the same
# bytes.
#
# The stand-in says every turn back after a preamble of up to a second, so a pause must hold the
# service's wait for silence (half a second), the preamble and the sentence once more. A sentence has
# no pause inside, or the service would hear two turns.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Peak of the speech; room for a front end that amplifies.
PEAK_DBFS=-6

# say NAME RATE TEXT [VOICE]: a sentence, cut where the sound begins and ends.
say() {
    espeak-ng -v "${4:-en-us}" -s 165 -w "$work/raw.wav" "$3"
    sox -D "$work/raw.wav" -b 16 -r "$2" -c 1 "$work/$1.wav" \
        silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse gain -n "$PEAK_DBFS"
}

# quiet NAME RATE SECONDS: nothing.
quiet() { sox -D -n -b 16 -r "$2" -c 1 "$work/$1.wav" trim 0 "$3"; }

# join OUT NAME...: one after the other.
join() {
    local out=$1
    shift
    sox -D "${@/#/$work/}" -b 16 "$out"
}

# Two turns with time for a reply between them. A microphone file is silence after its end.
say one 16000 "What is the weather like in Lisbon tomorrow"
say two 16000 "Thank you and please play some quiet music"
quiet lead 16000 0.6
quiet gap 16000 6.5
join two_turns.wav lead.wav one.wav gap.wav two.wav

# A long turn, and three seconds after its end another one: it falls into the reply. At 8 kHz, as a
# telephone-grade microphone hears it, which also keeps it small.
say long 8000 "Tell me how the people of the old town carried water up the hill before there were any pumps"
say stop 8000 "Stop that and tell me the time"
quiet lead 8000 0.6
quiet gap 8000 3
join barge_in.wav lead.wav long.wav gap.wav stop.wav

# Five short turns.
quiet gap 8000 4.5
say a 8000 "What time is it"
say b 8000 "Turn the volume up"
say c 8000 "How far is the moon"
say d 8000 "Sing me a song"
say e 8000 "Good night to you"
join five_turns.wav lead.wav a.wav gap.wav b.wav gap.wav c.wav gap.wav d.wav gap.wav e.wav

# Those who interrupt, and what they interrupt, in voices that are not each other's; a pause of half a
# second and more stands between two sentences only.
quiet gap 16000 0.6
said=()
while read -r voice text; do
    said+=("gap.wav" "said${#said[@]}.wav")
    say "said$((${#said[@]} - 2))" 16000 "$text" "$voice"
done <<'END'
en-gb+m1 Stop please
en-us+f4 Wait that is not what I asked
en-gb+f5 Can you turn the volume down a little
en-us+m2 Hold on a second
en-us+f4 No I meant tomorrow
en-gb+m1 What time is it
en-gb+f5 Excuse me how far is it
en-us+m2 Okay that is enough
en-gb+m1 And who wrote that book
en-us+f4 Be quiet now
en-us+m2 Please go back to the first one
en-gb+f5 Never mind
END
join interruptions.wav "${said[@]}" gap.wav
said=()
while read -r voice text; do
    said+=("gap.wav" "said${#said[@]}.wav")
    say "said$((${#said[@]} - 2))" 16000 "$text" "$voice"
done <<'END'
en-us+f3 The weather will be mostly sunny with a light breeze from the west and a little rain after six
en-gb+m3 Once upon a time there was a small house at the edge of a forest where nobody had lived for years
en-us+m7 The train to the city leaves every twenty minutes from platform four and takes half an hour
en-gb+f2 Water boils at a lower temperature when you climb a mountain because the air is thinner up there
END
join replies.wav "${said[@]}" gap.wav
