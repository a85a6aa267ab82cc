"""The JSON codecs."""

from __future__ import annotations

import json
import types
from typing import Any

import flask.json
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.socketio import JSONCodec, ModuleJSON, MsgspecJSON

CODECS: list[JSONCodec] = [MsgspecJSON(), ModuleJSON(json), ModuleJSON(flask.json)]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.fixture(params=CODECS, ids=["msgspec", "json", "flask.json"])
def codec(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_the_output_is_compact(codec: JSONCodec) -> None:
    assert codec.dumps(["a b", {"k": [1, 2]}]) == b'["a b",{"k":[1,2]}]'


NOT_JSON = ["", " ", "NaN", "[Infinity]", "-Infinity", "1e999", "1" * 5000, "01", "+1", "[1", "[1]x", "[1,]"]
NOT_JSON += ["{1:2}", "'a'", "\ufeff[]", "// c\n1", '"\n"']
NOT_JSON += ['"\\ud800"', '"\\ud800x"', '"\\udc00\\ud800"', '"\ud800"', '{"\\udfff":1}']


@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: ascii(text[:20]))
def test_strict_input(codec: JSONCodec, text: str) -> None:
    with pytest.raises(ValueError):
        codec.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551616", 2**64),
        ("-18446744073709551616", -(2**64)),
        ("1" * 400, int("1" * 400)),
        ('"\\ud83d\\ude00\\\\ud800"', "😀\\ud800"),
        ("1e5", 100000.0),
        ("5e-324", 5e-324),
    ],
)
def test_input(codec: JSONCodec, text: str, value: object) -> None:
    assert codec.loads(text) == value


def test_every_escape_of_a_surrogate_is_judged_like_the_standard_library(codec: JSONCodec) -> None:
    escapes = ["\\ud7ff", "\\ud800", "\\uDBFF", "\\udc00", "\\uDFFF", "\\ue000", "x"]
    for text in (f'"{a}{b}{c}"' for a in escapes for b in escapes for c in escapes):
        expected = json.loads(text)
        if any("\ud800" <= character <= "\udfff" for character in expected):
            with pytest.raises(ValueError):
                codec.loads(text)
        else:
            assert codec.loads(text) == expected


def test_values_without_a_form_in_json() -> None:
    nan = [float("nan"), float("inf"), -float("inf")]
    assert MsgspecJSON().dumps(nan) == b"[null,null,null]"
    for number in nan:
        with pytest.raises(ValueError, match="NaN"):
            ModuleJSON(json).dumps([number])
    with pytest.raises(ValueError):
        ModuleJSON(json).dumps("\ud800")


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, 1j])
def test_objects_without_a_form_in_json(codec: JSONCodec, value: object) -> None:
    with pytest.raises(TypeError):
        codec.dumps(value)


def test_cycles_are_left_to_the_encoder() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(RecursionError):
        MsgspecJSON().dumps(cycle)


def module(dumped: object = "null", *, error: Exception | None = None) -> Any:
    def loads(text: str) -> object:
        if error is not None:
            raise error
        return text

    return types.SimpleNamespace(dumps=lambda obj: dumped, loads=loads)


@pytest.mark.parametrize("dumped", ['[1, "é"]', b'[1, "\xc3\xa9"]', bytearray(b'[1,"\xc3\xa9"]')])
def test_a_module_may_return_text_or_bytes(dumped: object) -> None:
    assert ModuleJSON(module(dumped)).dumps(None) == '[1,"é"]'.encode()


@pytest.mark.parametrize(
    "dumped", ["", "[NaN]", "[1e999]", b'"\xff"', "[1]x", '"\\ud800"', '"\ud800"', "[" * 10_000]
)
def test_what_a_module_must_not_write(dumped: object) -> None:
    with pytest.raises((ValueError, RecursionError)):
        ModuleJSON(module(dumped)).dumps(None)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ZeroDivisionError()])
def test_whatever_a_module_raises_about_input_is_a_value_error(error: Exception) -> None:
    with pytest.raises(ValueError, match=type(error).__name__):
        ModuleJSON(module(error=error)).loads("1")


def test_hooks_of_the_module_are_used() -> None:
    class Provider:
        def dumps(self, obj: Any, /) -> str:
            return json.dumps(obj, default=lambda value: {"set": sorted(value)})

        def loads(self, text: str, /) -> Any:
            return json.loads(text, parse_float=str)

    codec = ModuleJSON(Provider())
    assert codec.dumps([{3, 1}]) == b'[{"set":[1,3]}]'
    assert codec.loads("[1.10]") == ["1.10"]


@given(json_values)
def test_round_trip(value: Any) -> None:
    for codec in CODECS:
        raw = codec.dumps(value)
        assert codec.loads(raw.decode()) == value
        assert json.loads(raw) == value
