"""A typed turn with python-socketio: client.py URL CODE TRANSPORT prints what was heard as JSON."""

import json
import sys
import threading

import requests
import socketio

url, code, transport = sys.argv[1:]
# The session keeps the cookie for every request of the client, both transports.
session = requests.Session()
paired = session.post(f"{url}api/pair", json={"code": code, "name": "python"}, timeout=5)
paired.raise_for_status()

heard = {"role": None, "ack": None, "audio": 0, "lines": {}, "ticks": 0, "turns": []}
greeted, ended = threading.Event(), threading.Event()
sio = socketio.Client(reconnection=False, http_session=session)


@sio.on("grok-voice:hello")
def hello(body):
    heard["role"] = body["role"]
    greeted.set()


@sio.on("grok-voice:transcript")
def transcript(body):
    heard["lines"][body["role"]] = body["text"]


@sio.on("grok-voice:audio")
def audio(body):
    heard["audio"] += len(body["pcm"])


@sio.on("grok-voice:tick")
def tick(_):
    heard["ticks"] += 1


@sio.on("grok-voice:turn")
def turn(body):
    heard["turns"].append(body["reason"])
    ended.set()


sio.connect(
    url,
    auth={"csrf": paired.json()["csrf"]},
    transports=[transport],
    wait_timeout=5,
)
assert greeted.wait(5), "no hello"
heard["ack"] = sio.call("grok-voice:text", {"text": "Good morning"}, timeout=5)
assert ended.wait(30), "the turn did not end"
heard["transport"] = sio.transport()
sio.disconnect()
print(json.dumps(heard))
