"""Real servers behind a real queue, and real clients of each."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import brokers
import pytest
import requests
from acceptance.wire import wait_until
from python_client import WARNINGS, Client
from requiring import Require
from server_pool import ServerPool, check_available
from servers import APPS, KINDS, PACKAGE_PATH, RunningServer, start

pytestmark = [*WARNINGS, pytest.mark.xdist_group("queues")]
#: two kinds of server for each way to run: real threads, both kinds of greenlets, an event loop
PAIRS = [
    ("werkzeug", "gunicorn-sync"),
    ("gevent-patched", "gunicorn-gevent"),
    ("eventlet-patched", "werkzeug"),
    ("uvicorn", "gunicorn-gthread"),
]


class Servers:
    """Two servers that know one another, and their clients."""

    def __init__(self, servers: list[RunningServer], stack: ExitStack) -> None:
        self.servers = servers
        self._stack = stack

    def client(self, index: int, transport: str = "websocket") -> Client:
        """A new client of one server."""
        client = Client(transport)
        self._stack.callback(client.close)
        client.connect(self.servers[index].url)
        return client

    def get(self, index: int, path: str) -> Any:
        """What a server answers."""
        response = requests.get(self.servers[index].url + path, timeout=10)
        response.raise_for_status()
        return response

    def stats(self, index: int) -> dict[str, int]:
        """What a server says of itself."""
        found: dict[str, int] = self.get(index, "/stats").json()
        return found


def environment(url: str, channel: str) -> dict[str, str]:
    return {"APP_MESSAGE_QUEUE": url, "APP_CHANNEL": channel}


@pytest.fixture(scope="module")
def pool() -> Iterator[ServerPool]:
    with ServerPool() as servers:
        yield servers


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as exit_stack:
        yield exit_stack


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What python-engineio leaves open is closed while its warnings are still ignored."""
    yield
    gc.collect()


def make_servers(
    pool: ServerPool, kinds: tuple[str, ...], url: str, channel: str, require: Require, stack: ExitStack
) -> Servers:
    """One server of each kind; they are kept for the module's other tests."""
    running = []
    for number, kind in enumerate(kinds):
        check_available(KINDS[kind], require)
        settings = {**environment(url, channel), "NUMBER": str(number)}
        running.append(pool.get(KINDS[kind], "cluster", settings))
    return Servers(running, stack)


@pytest.fixture(params=PAIRS, ids="+".join)
def servers(
    request: pytest.FixtureRequest,
    pool: ServerPool,
    shared_redis: brokers.Redis,
    require: Require,
    stack: ExitStack,
) -> Servers:
    """Two servers behind Redis."""
    kinds = request.param
    return make_servers(pool, kinds, shared_redis.url, "pair-" + "-".join(kinds), require, stack)


def next_named(client: Client, event: str) -> tuple[Any, ...]:
    """The arguments of the next event of this name; others' last words may come in between."""
    while True:
        _, name, *args = client.next_event()
        if name == event:
            return tuple(args)
        assert name == "gone", name


def test_everybody_and_rooms(servers: Servers) -> None:
    one, other = servers.client(0), servers.client(1)
    assert one.call("join", "room") == "ok"
    assert other.call("join", "room") == "ok"
    one.call("emit", "all", {"a": [1, None]}, {"broadcast": True})
    for client in (one, other):
        assert next_named(client, "all") == ({"a": [1, None]},)
    other.call("emit", "room", b"\x00\xff", {"to": "room"})
    for client in (one, other):
        assert next_named(client, "room") == (b"\x00\xff",)
    one.call("emit", "others", 1, {"to": "room", "include_self": False})
    assert next_named(other, "others") == (1,)
    other.call("emit", "sid", 2, {"to": one.sid()})
    assert next_named(one, "sid") == (2,)


def test_a_client_of_the_other_server(servers: Servers) -> None:
    one, other = servers.client(0), servers.client(1, "polling")
    one.call("join", "theirs", other.sid())
    one.call("emit", "in", 1, {"to": "theirs"})
    assert next_named(other, "in") == (1,)
    one.call("leave", "theirs", other.sid())
    one.call("emit", "out", 1, {"to": "theirs"})
    one.call("emit", "direct", 1, {"to": other.sid()})
    assert next_named(other, "direct") == (1,)
    other.call("join", "closed")
    one.call("close", "closed")
    one.call("emit", "out", 2, {"to": "closed"})
    one.call("emit", "direct", 2, {"to": other.sid()})
    assert next_named(other, "direct") == (2,)
    sid = other.sid()
    one.call("disconnect-other", sid)
    assert next_named(one, "gone") == ([sid, "server disconnect"],)
    wait_until(lambda: not other.sio.connected)


def test_acknowledgements_of_clients_of_the_other_server(servers: Servers) -> None:
    one, other = servers.client(0), servers.client(1)
    other.answers = {"question": {"answer": [1, b"\x01"]}}
    assert one.call("call", "question", 42, other.sid()) == {"answer": [1, b"\x01"]}
    assert next_named(other, "question") == (42,)
    one.call("ask", "question", 43, other.sid())
    assert next_named(one, "answered") == ([True, {"answer": [1, b"\x01"]}],)


def test_order_of_one_emitter(servers: Servers) -> None:
    one, other = servers.client(0), servers.client(1)
    for client in (one, other):
        client.call("join", "ordered")
    one.call("numbers", 300, "ordered")
    for client in (one, other):
        assert [next_named(client, "number") for _ in range(300)] == [(n,) for n in range(300)]


def test_a_view_emits_to_clients_of_the_other_server(servers: Servers) -> None:
    other = servers.client(1)
    servers.get(0, "/emit?event=news&data=x")
    assert next_named(other, "news") == ("x",)


@pytest.mark.parametrize("kinds", [PAIRS[1], PAIRS[2], PAIRS[3]], ids="+".join)
def test_coroutines(
    pool: ServerPool,
    shared_redis: brokers.Redis,
    name: str,
    require: Require,
    stack: ExitStack,
    kinds: tuple[str, ...],
) -> None:
    """The first who emits may be one, whatever the threads of its process are."""
    servers = make_servers(pool, kinds, shared_redis.url, name, require, stack)
    one, other = servers.client(0), servers.client(1)
    other.answers = {"question": "answer"}
    one.call("emit-async", "all", 1, {"broadcast": True})
    assert next_named(other, "all") == (1,)
    one.call("emit", "all", 2, {"broadcast": True})
    assert next_named(other, "all") == (2,)
    assert one.call("call-async", "question", 1, other.sid()) == "answer"


def test_a_child_of_a_server_emits_to_the_servers_clients(
    pool: ServerPool, shared_redis: brokers.Redis, require: Require, stack: ExitStack
) -> None:
    """What it has inherited is its parent's: the clients, the connections, the queue."""
    servers = make_servers(pool, PAIRS[0], shared_redis.url, "forking", require, stack)
    one, other = servers.client(0), servers.client(1)
    one.call("emit", "before", 1, {"broadcast": True})
    assert one.call("fork", "child") == "ok"
    one.call("emit", "after", 1, {"broadcast": True})
    got = [one.next_event()[1:] for _ in range(4)]
    assert sorted(got) == [("after", 1), ("before", 1), ("child", "to all"), ("child", "to one")]
    got = [other.next_event()[1:] for _ in range(3)]
    assert sorted(got) == [("after", 1), ("before", 1), ("child", "to all")]


def test_stats_tell_of_the_queue(servers: Servers) -> None:
    client = servers.client(0)
    client.call("emit", "x", 1, {"broadcast": True})
    wait_until(lambda: servers.stats(0)["queue_connected"] == 1 and servers.stats(0)["queue_pending"] == 0)


@pytest.mark.parametrize("patched", ["", "gevent", "eventlet"], ids=["threads", "gevent", "eventlet"])
@pytest.mark.parametrize("mode", ["", "fork"], ids=["alone", "forking"])
def test_a_process_without_an_app_emits(
    pool: ServerPool,
    shared_redis: brokers.Redis,
    require: Require,
    stack: ExitStack,
    patched: str,
    mode: str,
) -> None:
    servers = make_servers(pool, PAIRS[0], shared_redis.url, "emitters", require, stack)
    clients = [servers.client(0), servers.client(1)]
    run_emitter(shared_redis.url, "emitters", 200, mode, patched)
    sources = ["parent", "child"] if mode else ["parent"]
    for client in clients:
        got = [next_named(client, "number")[0] for _ in range(200 * len(sources))]
        for source in sources:
            assert [item for item in got if item[0] == source] == [[source, n] for n in range(200)]


def run_emitter(url: str, channel: str, count: int, mode: str = "", patched: str = "") -> str:
    """Run ``apps/emitter.py`` to its end; what it has logged."""
    command = [sys.executable, str(APPS / "emitter.py"), url, channel, str(count), *([mode] if mode else [])]
    paths = os.pathsep.join([PACKAGE_PATH, str(APPS)])
    env = {**os.environ, "PYTHONPATH": paths, "APP_PATCH": patched}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("kinds", PAIRS, ids="+".join)
def test_redis_is_restarted(
    pool: ServerPool, redis: brokers.Redis, require: Require, stack: ExitStack, kinds: tuple[str, ...]
) -> None:
    servers = make_servers(pool, kinds, redis.url, "restarted", require, stack)
    one, other = servers.client(0), servers.client(1)
    redis.kill()
    wait_until(lambda: servers.stats(0)["queue_connected"] == servers.stats(1)["queue_connected"] == 0)
    for number in range(3):
        one.call("emit", "meanwhile", number, {"broadcast": True})
        assert next_named(one, "meanwhile") == (number,)
    assert servers.stats(0)["queue_pending"] == 3
    new = servers.client(1)
    assert new.call("join", "room") == "ok"
    redis.start()
    wait_until(
        lambda: all(
            servers.stats(i)["queue_connected"] and not servers.stats(i)["queue_pending"] for i in (0, 1)
        ),
        timeout=20,
    )
    one.call("emit", "after", 1, {"broadcast": True})
    for client in (one, other, new):
        assert wait_for_event(client, "after") == (1,)
    for server in servers.servers:
        assert server.log_text().count("no connection") == 1
        assert server.log_text().count("connected again") == 1
        assert "Traceback" not in server.log_text()


def wait_for_event(client: Client, event: str) -> tuple[Any, ...]:
    """The arguments of the next event of this name, whatever comes before."""
    for _ in itertools.count():
        _, name, *args = client.next_event()
        if name == event:
            break
    return tuple(args)


def test_a_server_starts_without_its_queue(
    pool: ServerPool, redis: brokers.Redis, require: Require, stack: ExitStack
) -> None:
    redis.kill()
    servers = make_servers(pool, PAIRS[0], redis.url, "absent", require, stack)
    one = servers.client(0)
    one.call("emit", "here", 1, {"broadcast": True})
    assert next_named(one, "here") == (1,)
    redis.start()
    wait_until(lambda: servers.stats(0)["queue_connected"] == 1, timeout=20)


def test_rabbitmq(pool: ServerPool, rabbitmq: str, name: str, require: Require, stack: ExitStack) -> None:
    servers = make_servers(pool, PAIRS[0], rabbitmq, name, require, stack)
    one, other = servers.client(0), servers.client(1)
    other.answers = {"question": "answer"}
    one.call("emit", "all", b"\x01", {"broadcast": True})
    assert next_named(other, "all") == (b"\x01",)
    assert one.call("call", "question", 1, other.sid()) == "answer"


def test_several_workers_of_one_server(
    shared_redis: brokers.Redis, require: Require, stack: ExitStack
) -> None:
    """On WebSockets alone, each connection may live in any worker."""
    check_available(KINDS["gunicorn-sync"], require)
    settings = environment(shared_redis.url, "workers")
    options = ["--workers", "3", "--preload"]
    servers = Servers(
        [stack.enter_context(start(KINDS["gunicorn-sync"], "cluster", settings, options))], stack
    )
    clients = [servers.client(0) for _ in range(8)]
    clients[0].call("emit", "all", 1, {"broadcast": True})
    for client in clients:
        assert next_named(client, "all") == (1,)


def test_a_drain_tells_the_other_servers(shared_redis: brokers.Redis, name: str, require: Require) -> None:
    """What disconnect handlers emit at the very end still goes out."""
    with ExitStack() as own:
        servers = make_servers(
            own.enter_context(ServerPool()), PAIRS[0], shared_redis.url, name, require, own
        )
        leaving, staying = servers.client(0), servers.client(1)
        leaving.sio.reconnection = False
        sid = leaving.sid()
        servers.servers[0].terminate()
        assert next_named(staying, "gone")[0][0] == sid
        assert servers.servers[0].wait() == 0
