"""The test client in processes that gevent and eventlet have patched, and in one that nobody has."""

from __future__ import annotations

import pytest
from backends.script import APP, every_patch, run_part

SETUP = """
from flask_realtime.exceptions import CallTimeoutError

@socketio.on("echo")
def echo(*args):
    emit("echoed", args)
    return args

@socketio.on("slow")
def slow(seconds):
    socketio.sleep(seconds)
    return "slow"

@socketio.on("async")
async def asynchronous(n):
    await asyncio.sleep(0.001)
    emit("echoed", n)
    return n

@socketio.on("ask")
def ask(n):
    return call("question", n, timeout=5)

@socketio.on("ask async")
async def ask_async(n):
    return await call_async("question", n, timeout=5)

@socketio.on("task")
def task(n):
    sid = request.sid
    def work():
        socketio.sleep(0.02)
        socketio.emit("worked", n, to=sid)
    socketio.start_background_task(work)

reasons = []
socketio.on_event("disconnect", reasons.append)
client = socketio.test_client(app)
"""
PARTS = {
    "events and acks": """
assert client.emit("echo", 1, b"two", callback=True) == [1, b"two"]
assert client.get_received()[-1]["args"] == [1, b"two"]
assert client.emit("slow", 0.01, callback=True) == "slow"
""",
    "async handlers": """
for n in range(5):
    assert client.emit("async", n, callback=True) == n
    assert client.wait_for("echoed", timeout=0)["args"] == [n]
""",
    "background tasks": """
client.emit("task", 7)
assert client.wait_for("worked")["args"] == [7]
""",
    "real threads": """
start = original("_thread", "start_new_thread")
sleep = original("time", "sleep")
start(lambda: (sleep(0.02), socketio.emit("tick", 1)), ())
assert client.wait_for("tick")["args"] == [1]
""",
    "in time": """
begun = time.monotonic()
try:
    client.wait_for("never", timeout=0.1)
except TimeoutError as error:
    assert "no 'never'" in str(error)
else:
    raise AssertionError
assert 0.1 <= time.monotonic() - begun < 3
""",
    "answers": """
client.answer("question", 5)
assert client.emit("ask", 1, callback=True) == 5
assert client.emit("ask async", 1, callback=True) == 5
client.answer("question", lambda n: n + 1)
assert client.emit("ask", 1, callback=True) == 2
assert client.emit("ask async", 1, callback=True) == 2
async def answer(n):
    await asyncio.sleep(0.001)
    return n + 2
client.answer("question", answer)
assert client.emit("ask", 1, callback=True) == 3
""",
    "by hand": """
answers = []
other = socketio.test_client(app)
task = socketio.start_background_task(
    lambda: answers.append(socketio.call("by hand", to=other.get_sid(), timeout=5)))
other.acknowledge(other.wait_for("by hand"), "mine")
task.join(5)
assert answers == ["mine"], answers
""",
    "disconnected by a task": """
del reasons[:]
other = socketio.test_client(app)
sid = other.get_sid()
task = socketio.start_background_task(lambda: (socketio.sleep(0.01), socketio.current_server.disconnect(sid)))
assert other.wait_for_disconnect() == "server disconnect"
task.join(5)
until(lambda: reasons == ["server disconnect"])
""",
    "many at once": """
others = [socketio.test_client(app) for _ in range(5)]
answers = []
def drive(number):
    for n in range(5):
        answers.append(others[number].emit("slow", 0.001, callback=True))
workers = [threading.Thread(target=drive, args=(number,)) for number in range(5)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert answers == ["slow"] * 25, answers
""",
}


@every_patch
@pytest.mark.parametrize("name", PARTS)
def test_works(name: str, library: str) -> None:
    run_part(name, PARTS, library, APP + SETUP)
