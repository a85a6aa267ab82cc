"""What every driver of a broker has to do, on real brokers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import brokers
import pytest
from acceptance.wire import wait_until

from flask_realtime.adapters import Channel, make_channel

#: the fixtures that give the URLs of other brokers than Redis
OTHERS = {"amqp": "rabbitmq", "kafka": "kafka_cluster", "zmq": "forwarder"}


@pytest.fixture(scope="module")
def forwarder() -> Iterator[str]:
    """The broker of ZeroMQ, as its users write it: what comes in one socket goes out of the other."""
    zmq = pytest.importorskip("zmq")
    context = zmq.Context()
    pull, publish = context.socket(zmq.PULL), context.socket(zmq.PUB)
    ports = [sock.bind_to_random_port("tcp://127.0.0.1") for sock in (pull, publish)]
    ended = threading.Event()

    def forward() -> None:
        while not ended.is_set():
            if pull.poll(50):
                publish.send(pull.recv())

    thread = threading.Thread(target=forward)
    thread.start()
    yield f"zmq+tcp://127.0.0.1:{ports[0]}+{ports[1]}"
    ended.set()
    thread.join()
    context.destroy(linger=0)


@pytest.fixture(scope="module")
def kafka_cluster() -> Iterator[str]:
    """librdkafka's cluster for tests: brokers in this process that speak the protocol over TCP."""
    import kafka
    from confluent_kafka import Producer

    with pytest.MonkeyPatch.context() as patch:
        for client in (kafka.KafkaProducer, kafka.KafkaConsumer):
            # It does not say in the right way which versions it knows.
            patch.setitem(client.DEFAULT_CONFIG, "api_version", (2, 0))
        cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = cluster.list_topics(timeout=10).brokers.values()
        yield f"kafka://{broker.host}:{broker.port}"


@pytest.fixture(params=["redis", "valkey", "unix", "redis+socket", "amqp", "memory", "kafka", "zmq"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a broker, by its scheme."""
    if request.param in OTHERS:
        return str(request.getfixturevalue(OTHERS[request.param]))
    redis: brokers.Redis = request.getfixturevalue("shared_redis")
    return {
        "redis": redis.url,
        "valkey": redis.url.replace("redis", "valkey"),
        "unix": f"unix://{redis.socket}",
        "redis+socket": f"redis+socket://{redis.socket}",
        "memory": "memory://",
    }[request.param]


class Listener:
    """A thread that listens."""

    def __init__(self, channel: Channel) -> None:
        self.heard: queue.Queue[bytes] = queue.Queue()
        self.error: Exception | None = None
        self._ended = False
        subscribed = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(channel, subscribed))
        self._thread.start()
        assert subscribed.wait(30)

    def _listen(self, channel: Channel, subscribed: threading.Event) -> None:
        try:
            with closing(channel.listen()) as messages:
                assert next(messages) is None
                subscribed.set()
                for message in messages:
                    if message is not None:
                        self.heard.put(message)
                    if self._ended:
                        return
        except Exception as error:
            self.error = error
        finally:
            subscribed.set()

    def take(self, count: int) -> list[bytes]:
        return [self.heard.get(timeout=10) for _ in range(count)]

    def ends(self) -> Exception | None:
        """What ends it by itself."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.error

    def close(self) -> None:
        self._ended = True
        self._thread.join(10)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as exit_stack:
        yield exit_stack


def listener(stack: ExitStack, url: str, name: str) -> Listener:
    made = Listener(make_channel(url, name))
    stack.callback(made.close)
    if isinstance(made.error, (LookupError, TimeoutError)):
        # As the link does: Kafka's brokers may take their time to make a topic.
        return listener(stack, url, name)
    assert made.error is None
    return made


def test_all_who_listen_hear_it_in_order(url: str, name: str, stack: ExitStack) -> None:
    listeners = [listener(stack, url, name) for _ in range(2)]
    connection = stack.enter_context(closing(make_channel(url, name).connect()))
    messages = [b"%d" % number for number in range(300)]
    connection.publish(messages[:1])
    connection.publish(messages[1:])
    for each in listeners:
        assert each.take(300) == messages


def test_bytes_arrive_as_they_are(url: str, name: str, stack: ExitStack) -> None:
    one = listener(stack, url, name)
    messages = [bytes(range(256)), b"\0" * 24, b"x" * 900_000]
    connection = stack.enter_context(closing(make_channel(url, name).connect()))
    connection.publish(messages)
    assert one.take(3) == messages


def test_channels_are_apart(url: str, name: str, stack: ExitStack) -> None:
    one, other = listener(stack, url, name), listener(stack, url, name + "-other")
    stack.enter_context(closing(make_channel(url, name + "-other").connect())).publish([b"other"])
    stack.enter_context(closing(make_channel(url, name).connect())).publish([b"one"])
    assert one.take(1) == [b"one"]
    assert other.take(1) == [b"other"]


def test_nobody_need_listen(url: str, name: str, stack: ExitStack) -> None:
    stack.enter_context(closing(make_channel(url, name).connect())).publish([b"x"])


class TestRedis:
    def test_a_subscription_that_is_cut_off_says_so(
        self, redis: brokers.Redis, name: str, stack: ExitStack
    ) -> None:
        one = listener(stack, redis.url, name)
        redis.command(b"CLIENT KILL TYPE pubsub\r\n")
        assert one.ends() is not None

    def test_a_server_that_dies(self, redis: brokers.Redis, name: str, stack: ExitStack) -> None:
        one = listener(stack, redis.url, name)
        connection = stack.enter_context(closing(make_channel(redis.url, name).connect()))
        connection.publish([b"x"])
        redis.kill()
        assert one.ends() is not None
        with pytest.raises(Exception, match="onnect"):
            connection.publish([b"x"])

    def test_a_server_that_does_not_answer(
        self, redis: brokers.Redis, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flask_realtime.adapters.redis.TIMEOUT", 0.2)
        channel = make_channel(redis.url, name)
        redis.freeze()
        with closing(channel.connect()) as connection, pytest.raises(Exception, match=r"[Tt]imeout"):
            connection.publish([b"x"])
        with closing(channel.listen()) as messages, pytest.raises(Exception, match=r"imeout|answer"):
            next(messages)
        redis.thaw()

    def test_closing_leaves_nothing_behind(self, redis: brokers.Redis, name: str) -> None:
        channel = make_channel(redis.url, name)
        with closing(channel.listen()) as messages:
            next(messages)
            assert redis.subscribers(name) == 1
        wait_until(lambda: redis.subscribers(name) == 0)

    def test_sentinel(self, redis: brokers.Redis, name: str, stack: ExitStack) -> None:
        sentinel = stack.enter_context(brokers.redis_sentinel(redis))
        url = f"redis+sentinel://127.0.0.1:{sentinel}/0/main"
        one = listener(stack, url, name)
        stack.enter_context(closing(make_channel(url, name).connect())).publish([b"x"])
        assert one.take(1) == [b"x"]


class TestKombu:
    def test_a_connection_that_is_cut_off_says_so(self, rabbitmq: str, name: str, stack: ExitStack) -> None:
        """As when RabbitMQ is restarted: through a forwarder that we may kill."""
        port, cut = stack.enter_context(brokers.forwarder(*brokers.RABBITMQ))
        url = f"amqp://guest:guest@127.0.0.1:{port}//"
        one = listener(stack, url, name)
        connection = stack.enter_context(closing(make_channel(url, name).connect()))
        connection.publish([b"x"])
        assert one.take(1) == [b"x"]
        cut()
        assert one.ends() is not None
        with pytest.raises(OSError):
            connection.publish([b"x"])


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("redis://user:secret@host:1/2", "redis://host:1/2"),
            ("rediss://:secret@host", "rediss://host"),
            ("unix:///run/redis.sock?db=1&password=secret", "unix:///run/redis.sock"),
            ("redis+sentinel://user:secret@a:1,b:2/0/main", "redis+sentinel://a:1,b:2/0/main"),
            ("amqp://user:secret@host:1//", "amqp://user:**@host:1//"),
            ("zmq+tcp://host:1+2", "zmq+tcp://host:1+2"),
        ],
    )
    def test_passwords_are_not_shown(self, url: str, shown: str) -> None:
        assert str(make_channel(url, "name")) == shown

    @pytest.mark.parametrize(
        "url",
        ["redis+sentinel://a:1", "redis+sentinel://a:1/0/", "redis+sentinel:///0/main", "zmq+tcp://a:1"],
    )
    def test_a_url_that_makes_no_sense(self, url: str) -> None:
        with pytest.raises(ValueError, match="form"):
            make_channel(url, "name")

    def test_several_sentinels(self) -> None:
        channel: Any = make_channel("redis+sentinel://user:p%40ss@a:1,b/3/main", "name")
        pool = channel._client().connection_pool
        found = [s.connection_pool.connection_kwargs for s in pool.sentinel_manager.sentinels]
        assert [(options["host"], options["port"]) for options in found] == [("a", 1), ("b", 26379)]
        assert pool.service_name == "main"
        options = pool.connection_kwargs
        assert (options["username"], options["password"], options["db"]) == ("user", "p@ss", 3)
