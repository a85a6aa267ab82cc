"""What is sent how: by default, with ``json=flask.json``, with MessagePack, with a module of the app."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import types
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import flask.json
import msgspec
import pytest
from extension.live import SocketIOClient, serve
from flask import Flask, jsonify
from flask.json.provider import DefaultJSONProvider, JSONProvider
from markupsafe import Markup

from flask_realtime import SocketIO
from flask_realtime.config import ServerConfig
from flask_realtime.formats import make_serializer
from flask_realtime.protocol.socketio import Packet, PacketType


@dataclasses.dataclass
class Price:
    amount: Decimal
    since: datetime.date


class Struct(msgspec.Struct, rename="camel"):
    valid_until: datetime.datetime
    price: Price


class Pair(NamedTuple):
    first: int
    second: int


class Word(str):
    pass


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


class Fruit(str, enum.Enum):
    APPLE = "apple"


class Snippet:
    def __html__(self) -> str:
        return "<b>"


UTC = datetime.timezone.utc
EAST = datetime.timezone(datetime.timedelta(hours=2))
NEW_YEAR = datetime.datetime(2020, 1, 1, tzinfo=UTC)
HTTP_DATE = "Wed, 01 Jan 2020 00:00:00 GMT"
PRICE = Price(Decimal("1.50"), datetime.date(2020, 1, 1))

#: What Flask's JSON can write: the value, and what a client gets.
FLASKS: dict[str, tuple[Any, Any]] = {
    "None": (None, None),
    "numbers": ([1, -1.5, 2**53, True], [1, -1.5, 2**53, True]),
    "text": ("héllo 😀\u2028\x00", "héllo 😀\u2028\x00"),
    "tuples": ((1, (2, ())), [1, [2, []]]),
    "a named tuple": (Pair(1, 2), [1, 2]),
    "a subclass of str": (Word("x"), "x"),
    "a subclass of dict": (types.new_class("Own", (dict,))(a=[Word("x")]), {"a": ["x"]}),
    "markup": (Markup("<i>"), "<i>"),
    "__html__": ([Snippet()], ["<b>"]),
    "an int enum": (Size.SMALL, 1),
    "a str enum": ({Fruit.APPLE: Fruit.APPLE}, {"apple": "apple"}),
    "a datetime": (NEW_YEAR, HTTP_DATE),
    "one in the east": (NEW_YEAR.astimezone(EAST), HTTP_DATE),
    "one without a zone": (NEW_YEAR.replace(tzinfo=None), HTTP_DATE),
    "a fraction of a second": (NEW_YEAR.replace(microsecond=5), HTTP_DATE),
    "a day": (NEW_YEAR.date(), HTTP_DATE),
    "a subclass of datetime": (types.new_class("Own", (datetime.datetime,))(2020, 1, 1), HTTP_DATE),
    "a UUID": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "a Decimal": (Decimal("1.50"), "1.50"),
    "a subclass of Decimal": (types.new_class("Own", (Decimal,))("1.50"), "1.50"),
    "a dataclass": ({"p": [PRICE]}, {"p": [{"amount": "1.50", "since": HTTP_DATE}]}),
    "int keys": ({1: 2, -3: 4}, {"1": 2, "-3": 4}),
    "float keys": ({1.5: 2}, {"1.5": 2}),
    "bool keys": ({True: 1, False: 2}, {"true": 1, "false": 2}),
    "a None key": ({None: 1}, {"null": 1}),
}
#: What it can't write, and is sent nevertheless, by default and in MessagePack.
BEYOND: dict[str, tuple[Any, Any]] = {
    "a set": ({1}, [1]),
    "a frozen set": (frozenset([NEW_YEAR.time()]), ["00:00:00"]),
    "an enum": ({Colour.RED: Colour.RED}, {"red": "red"}),
    "a UUID as a key": ({uuid.UUID(int=1): 1}, {"00000000-0000-0000-0000-000000000001": 1}),
    "a duration": (datetime.timedelta(seconds=90), "PT90S"),
    "a mixture of keys": ({1: 1, "a": 2, None: 3}, {"1": 1, "a": 2, "null": 3}),
    "NaN": ([float("nan"), float("inf"), {"a": -float("inf")}], [None, None, {"a": None}]),
}
STRUCT = Struct(NEW_YEAR, PRICE)
STRUCT_BACK = {"validUntil": HTTP_DATE, "price": {"amount": "1.50", "since": HTTP_DATE}}

Received = Callable[..., Any]


def received_by(app: Flask, **options: Any) -> Received:
    """``received(value)`` is what a client gets where ``value`` is emitted."""
    socketio = SocketIO(app, **options)
    client = socketio.test_client(app)

    def received(*values: Any) -> Any:
        socketio.emit("event", values)
        (item,) = client.get_received()
        return item["args"][0] if len(values) == 1 else item["args"]

    return received


@pytest.fixture
def received(app: Flask) -> Received:
    return received_by(app)


class TestJSON:
    @pytest.mark.parametrize(("value", "expected"), FLASKS.values(), ids=FLASKS)
    def test_what_a_view_can_jsonify(self, app: Flask, received: Received, value: Any, expected: Any) -> None:
        app.add_url_rule("/", view_func=lambda: jsonify(value))
        assert app.test_client().get("/").json == expected
        assert received(value) == expected
        assert received(value, b"beside") == [expected, b"beside"]

    @pytest.mark.parametrize(("value", "expected"), FLASKS.values(), ids=FLASKS)
    def test_the_same_with_flasks_json(self, app: Flask, value: Any, expected: Any) -> None:
        received = received_by(app, json=flask.json)
        assert received(value) == expected
        assert received(value, b"beside") == [expected, b"beside"]

    @pytest.mark.parametrize(("value", "expected"), BEYOND.values(), ids=BEYOND)
    def test_what_is_sent_besides(self, app: Flask, received: Received, value: Any, expected: Any) -> None:
        assert received(value) == expected
        assert received(value, b"beside") == [expected, b"beside"]
        with pytest.raises((TypeError, ValueError)):
            received_by(app, json=flask.json)(value)

    def test_a_struct(self, received: Received) -> None:
        assert received(STRUCT) == STRUCT_BACK
        assert received([STRUCT], b"beside") == [[STRUCT_BACK], b"beside"]

    def test_binary_data_in_any_of_them(self, received: Received) -> None:
        assert received({b"x"}) == [b"x"]
        assert received(Pair(1, memoryview(b"xyz")[::2])) == [1, b"xz"]  # type: ignore[arg-type]
        assert received(dataclasses.make_dataclass("Own", ["a"])(bytearray(b"x"))) == {"a": b"x"}

    def test_binary_data_leaves_the_rest_to_the_module(self, app: Flask) -> None:
        """A set, say, is not a list just because there is binary data beside it."""
        received = received_by(app, json=flask.json)
        assert received({"at": NEW_YEAR, "data": b"x"}) == {"at": HTTP_DATE, "data": b"x"}
        own = dataclasses.make_dataclass("Own", ["at", "data"])
        assert received([own(NEW_YEAR, [b"x"]), PRICE]) == [
            {"at": HTTP_DATE, "data": [b"x"]},
            {"amount": "1.50", "since": HTTP_DATE},
        ]
        with pytest.raises(TypeError, match="set"):
            received({1}, b"beside")


class TestMsgpack:
    DATES = frozenset(name for name, (_, back) in FLASKS.items() if back == HTTP_DATE)

    @pytest.fixture
    def received(self, app: Flask) -> Received:
        return received_by(app, serializer="msgpack")

    @pytest.mark.parametrize("name", FLASKS)
    def test_what_json_can_say(self, received: Received, name: str) -> None:
        """Dates are dates; all else is as in JSON."""
        value, expected = FLASKS[name]
        if name == "a fraction of a second":
            value = value.replace(microsecond=5000)
            assert received(value) == value
        elif name in self.DATES:
            assert received({"at": value}) == {"at": NEW_YEAR}
        elif name == "a dataclass":
            assert received(value) == {"p": [{"amount": "1.50", "since": NEW_YEAR}]}
        else:
            assert received(value) == expected

    @pytest.mark.parametrize(("value", "expected"), BEYOND.values(), ids=BEYOND)
    def test_what_is_sent_besides(self, received: Received, value: Any, expected: Any) -> None:
        assert received(value) == expected

    def test_a_struct(self, received: Received) -> None:
        assert received(STRUCT) == {"validUntil": NEW_YEAR, "price": {"amount": "1.50", "since": NEW_YEAR}}


class OwnDefault(DefaultJSONProvider):
    """What most apps do to their provider."""

    @staticmethod
    def default(value: Any) -> Any:
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, set):
            return sorted(value)
        return {"z": 1} if type(value) is object else DefaultJSONProvider.default(value)


class OwnLibrary(JSONProvider):
    """Around another library, as those for orjson are: it has no ``default``."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return json.dumps(obj, default=self._write, sort_keys=True, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s, parse_float=Decimal, **kwargs)

    @staticmethod
    def _write(value: Any) -> Any:
        if isinstance(value, datetime.date):
            return {"year": value.year}
        raise TypeError("not known to the library")


class TestProviders:
    """The JSON of the app, which it may have made to its taste."""

    OPTIONS = ({}, {"json": flask.json}, {"serializer": "msgpack"})

    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    def test_own_default(self, app: Flask, options: dict[str, Any]) -> None:
        app.json = OwnDefault(app)
        received = received_by(app, **options)
        assert received({"o": object(), "s": {3, 1, 2}}) == {"o": {"z": 1}, "s": [1, 2, 3]}
        if "serializer" not in options:  # there, a date is a date
            assert received([NEW_YEAR.date()]) == ["2020-01-01"]

    @pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
    def test_own_library(self, app: Flask, options: dict[str, Any]) -> None:
        app.json = OwnLibrary(app)
        received = received_by(app, **options)
        assert received([NEW_YEAR]) == [{"year": 2020}]
        assert received([NEW_YEAR, b"x"]) == [{"year": 2020}, b"x"]
        with pytest.raises(TypeError):
            received(object())

    def test_the_class_of_the_provider(self) -> None:
        class App(Flask):
            json_provider_class = OwnDefault

        assert received_by(App("app"))([NEW_YEAR.date()]) == ["2020-01-01"]

    @pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
    def test_it_may_come_later(self, app: Flask, options: dict[str, Any]) -> None:
        received = received_by(app, **options)
        assert received([NEW_YEAR]) == [HTTP_DATE]
        app.json = OwnLibrary(app)
        assert received([NEW_YEAR]) == [{"year": 2020}]

    @pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
    def test_two_apps(self, options: dict[str, Any]) -> None:
        """Each has its own, whichever is current."""
        one, two = Flask("one"), Flask("two")
        two.json = OwnLibrary(two)
        socketio = SocketIO(**options)
        for app in (one, two):
            socketio.init_app(app)
        clients = [socketio.test_client(app) for app in (one, two)]
        for app in (one, two):
            with app.app_context():
                socketio.emit("event", {"at": NEW_YEAR})
        socketio.emit("outside", [NEW_YEAR])  # goes to the last

        assert [item["args"] for item in clients[0].get_received()] == [[{"at": HTTP_DATE}]]
        at = {"year": 2020}
        assert [item["args"] for item in clients[1].get_received()] == [[{"at": at}], [[at]]]

    def test_what_comes_in_is_read_by_the_provider(self, app: Flask) -> None:
        app.json = OwnLibrary(app)
        socketio = SocketIO(app, json=flask.json)
        got: list[Any] = []
        socketio.on_event("event", got.append)
        with serve(app) as url, SocketIOClient(url) as client:
            client.transport.send('42["event",1.10]')
            socketio.on_event("sync", lambda: 1)
            client.transport.send('421["sync"]')
            assert client.receive() == "431[1]"
        assert got == [Decimal("1.10")]

    def test_options_of_the_provider(self, app: Flask) -> None:
        """Those that say what is written count; spaces are never sent."""
        provider = DefaultJSONProvider(app)
        provider.sort_keys, provider.compact, provider.ensure_ascii = False, False, False
        app.json = provider
        socketio = SocketIO(app, json=flask.json)
        with serve(app) as url, SocketIOClient(url) as client:
            socketio.emit("é", {"b": 1, "a": [2, "ö"]})
            assert client.receive() == '42["é",{"b":1,"a":[2,"ö"]}]'
            provider.sort_keys = provider.ensure_ascii = True
            socketio.emit("é", {"b": 1, "a": [2, "ö"]})
            assert client.receive() == '42["\\u00e9",{"a":[2,"\\u00f6"],"b":1}]'

    def test_the_order_of_keys_is_kept_by_default(self, app: Flask, socketio: SocketIO) -> None:
        with serve(app) as url, SocketIOClient(url) as client:
            socketio.emit("é", {"b": 1, "a": [2, "ö"]})
            assert client.receive() == '42["é",{"b":1,"a":[2,"ö"]}]'


@pytest.mark.parametrize("options", [{}, {"json": flask.json}], ids=str)
def test_without_an_app(options: dict[str, Any]) -> None:
    """What only writes has no provider: it is Flask's own."""
    encoder = make_serializer(None, ServerConfig.from_options(options)).encoder()
    packet = Packet(PacketType.EVENT, "/", ["e", {"at": NEW_YEAR, "price": PRICE}])
    price = f'{{"amount":"1.50","since":"{HTTP_DATE}"}}'
    assert encoder.encode(packet).text == f'2["e",{{"at":"{HTTP_DATE}","price":{price}}}]'.encode()


class Shouting:
    """A module of the app's own."""

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        return json.dumps(value, **options).upper()

    loads = staticmethod(json.loads)


class TestModules:
    def test_one_server_alone_has_it(self) -> None:
        """In Flask-SocketIO it reaches every other server of the process."""
        apps = [Flask(name) for name in "abc"]
        first, second, third = [
            received_by(app, **options)
            for app, options in zip(apps, [{"json": Shouting}, {}, {"json": json}], strict=True)
        ]
        for _ in range(2):
            assert first("text") == "TEXT"
            assert second("text") == third("text") == "text"
        with pytest.raises(TypeError):
            third([NEW_YEAR])
        assert second([NEW_YEAR]) == [HTTP_DATE]

    @pytest.mark.parametrize("name", ["ujson", "simplejson", "orjson"])
    def test_modules_that_apps_use(self, app: Flask, name: str) -> None:
        module = pytest.importorskip(name)
        received = received_by(app, json=module)
        assert received({"a": [1, "é", b"x"]}) == {"a": [1, "é", b"x"]}
        with pytest.raises((TypeError, ValueError, OverflowError)):
            received(1j)
