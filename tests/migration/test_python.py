"""Python files: what is rewritten, to what."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import flask_realtime
from flask_realtime.migration.python import parse, rewrite
from flask_realtime.migration.source import read_python
from flask_realtime.migration.words import EXPORTS, SUBMODULES

Migrated = Callable[[str, str], str]

#: what changes, and nothing else in it: the module's name everywhere
SURE = [
    "import flask_socketio\nflask_socketio.emit('x')",
    "import flask_socketio as fs\nfs.emit('x')",
    "import os, flask_socketio, sys",
    "import os, \\\n    flask_socketio as fs",
    "import flask_socketio . namespace\nflask_socketio.namespace.Namespace",
    "from flask_socketio import SocketIO, emit as send_it  # noqa: F401",
    "from flask_socketio import (\n    SocketIO,  # the server\n    emit,\n)",
    "from   flask_socketio   import\\\n emit",
    "from \\\n  flask_socketio import emit",
    "from flask_socketio.namespace import Namespace",
    "from flask_socketio . test_client import SocketIOTestClient",
    "if True:\n\tfrom flask_socketio import emit; x = 1; import flask_socketio",
    "try:\n    import flask_socketio\nexcept ImportError: ...\nelse:\n    print(flask_socketio, file=None)",
    "def f():\n    import flask_socketio\n    return [flask_socketio.emit for _ in flask_socketio.x]",
    "import flask_socketio\n@flask_socketio.x\nclass A(flask_socketio.Namespace): y: flask_socketio.SocketIO",
    "import flask_socketio\nä = 'ö'; print('é€😀', flask_socketio.emit)  # ü",
    "import flask_socketio\nx = f'{flask_socketio.__name__!r:>{flask_socketio.width}} é {1}'",
    "import flask_socketio\nx = ('a'\n     f'é {flask_socketio.y}')",
    "import flask_socketio\ndel_ = flask_socketio.flask if flask_socketio else None",
    "if TYPE_CHECKING:\n    from flask_socketio import SocketIO",
    "def f(x: 'flask_socketio.SocketIO') -> \"list['flask_socketio.Namespace']\": ...",
    "y: 'flask_socketio.SocketIO' = cast('flask_socketio.SocketIO', x)",
    "mock.patch('flask_socketio.emit')",
    "@patch('app.views.flask_socketio.emit')\ndef f(): ...",
    "monkeypatch.setattr('flask_socketio.SocketIO.run', None)",
    "importlib.import_module('flask_socketio')\n__import__(r\"flask_socketio\")",
    "importlib.import_module('''flask_socketio.namespace''')",
    "pytest.importorskip('flask_socketio')",
    "sys.modules['flask_socketio'] = types.ModuleType('flask_socketio')",
    "'flask_socketio' in sys.modules or sys.modules.pop('flask_socketio', None)",
    "mock.patch.dict('sys.modules', {'flask_socketio': None, 'flask_socketio.namespace': None})",
    "monkeypatch.setitem(sys.modules, 'flask_socketio', None)",
    "monkeypatch.setattr(views, 'flask_socketio', None)",
]
#: what stays as it is
UNTOUCHED = [
    "from .flask_socketio import emit",
    "from . import flask_socketio",
    "from app import flask_socketio",
    "import flask_socketio_extras\nfrom flask_socketio_extras import x",
    "import my.flask_socketio",
    "x.flask_socketio.emit()",
    "flask_socketio = 1\nprint(flask_socketio)",
    "f(flask_socketio=1)",
    "# import flask_socketio",
    "'''import flask_socketio'''",
    "x = ['flask_socketio']",
    "logging.getLogger('flask_socketio')",
    "dict({'flask_socketio': 1})",
    "monkeypatch.setitem(versions, 'flask_socketio', 1)",
    "mock.patch('flask_' 'socketio.emit')",
    "mock.patch('\\x66lask_socketio.emit')",
    "import flask_socketio.inner",
    "from flask_socketio.inner import x",
]
#: names that can't be replaced everywhere: the import keeps them
KEPT = [
    "{}\ndef f(flask_socketio): ...",
    "{}\nflask_socketio = flask_socketio or None",
    "{}\ndef f():\n    global flask_socketio",
    "{}\nfrom app import flask_socketio",
    "{}\nimport flask_socketio as flask_socketio_  # not the same\nfor flask_socketio in (): ...",
    "{}\nflask_realtime = flask_socketio",
    "{}\nprint(f'flask_socketio {{flask_socketio}}')",
    "try:\n    {}\nexcept ImportError:\n    flask_socketio = None",
    "{}\ntry: ...\nexcept E as flask_socketio: ...",
    "{}\nmatch x:\n    case [*flask_socketio]: ...",
]


@pytest.mark.parametrize("source", SURE)
def test_the_name_of_the_module_is_replaced(migrated: Migrated, source: str) -> None:
    assert migrated("app.py", source) == source.replace("flask_socketio", "flask_realtime")


@pytest.mark.parametrize("source", UNTOUCHED)
def test_what_may_mean_something_else_is_left_alone(migrated: Migrated, source: str) -> None:
    assert migrated("app.py", source) == source


@pytest.mark.parametrize("template", KEPT)
def test_a_name_with_two_meanings_is_kept(migrated: Migrated, template: str) -> None:
    before = template.format("import flask_socketio")
    expected = template.format("import flask_realtime as flask_socketio")
    expected = expected.replace(
        "import flask_socketio as flask_socketio_", "import flask_realtime as flask_socketio_"
    )
    after = migrated("app.py", before)
    assert after == expected
    ast.parse(after)


def test_a_submodule_can_not_keep_its_name(project: object, migrated: Migrated) -> None:
    source = "import flask_socketio.namespace\ndef f(flask_socketio): ..."
    assert migrated("app.py", source) == source


@pytest.mark.parametrize("name", ["stub.pyi", "build.spec", "manage"])
def test_other_python_files(migrated: Migrated, name: str) -> None:
    source = "#!/usr/bin/env python3\nimport flask_socketio\n"
    assert migrated(name, source) == source.replace("flask_socketio", "flask_realtime")


def test_names_are_those_that_we_have() -> None:
    assert set(flask_realtime.__all__) >= EXPORTS
    for name in SUBMODULES:
        assert hasattr(flask_realtime, name)


# Nothing but the name changes, in any encoding and with any line ends

NAME = "{}"
LINES = st.sampled_from(
    [
        "import {}",
        "import {} as renamed",
        "from {} import emit, \\",
        "print({}.emit, 'é', {})",
        "x = f'ß {{1}} {{ {}.width }}'",
        "y: '{}.SocketIO' = None  # é flask_socketio",
        "def f(ä=1): '''é'''; return {}.emit",
        "\fz = mock.patch('{}.emit')",
        "w = '''é\x0b\x1c\x85  two",
        "lines''', {}.send",
        "é = 1",
        "",
        "\t ",
    ]
)
PREFIXES = ["", "# -*- coding: latin-1 -*-", "# vim: set fileencoding=cp1252 :", "# coding: utf-8"]
ENCODINGS = ["utf-8", "latin-1", "cp1252", "utf-8"]


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A file as it is, and as it is to be."""
    kind = draw(st.integers(0, len(PREFIXES) - 1))
    bom = b"\xef\xbb\xbf" if ENCODINGS[kind] == "utf-8" and draw(st.booleans()) else b""
    lines = [PREFIXES[kind], "import {}"] if PREFIXES[kind] else ["import {}"]
    for line in draw(st.lists(LINES, max_size=12)):
        if line.endswith("\\"):
            lines += [line, "    join_room"]
        elif line.startswith("w = "):
            lines += [line, "lines''', {}.send"]
        elif not line.startswith("lines"):
            lines.append(line)
    text = "".join(line + draw(st.sampled_from(["\n", "\r\n", "\r"])) for line in lines)
    text = text if draw(st.booleans()) else text.rstrip("\r\n")
    if ENCODINGS[kind] == "cp1252":
        text = text.replace("\x85", "")

    def encoded(name: str) -> bytes:
        return bom + text.replace("{{", "\0").replace("}}", "\1").replace("{}", name).replace(
            "\0", "{"
        ).replace("\1", "}").encode(ENCODINGS[kind])

    return encoded("flask_socketio"), encoded("flask_realtime")


@given(files())
def test_every_other_byte_stays(file: tuple[bytes, bytes]) -> None:
    before, after = file
    source = read_python(Path("app.py"), before)
    edits, _ = rewrite(parse(source, "app.py"))
    assert source.apply(edits) == after
    again = read_python(Path("app.py"), after)
    assert rewrite(parse(again, "app.py"))[0] == []


@given(st.text(alphabet=st.sampled_from("flask_socketio. \\\n\r\t'\"(){}é#:=,fimport x"), max_size=200))
def test_any_text_keeps_its_meaning(rest: str) -> None:
    text = f"import flask_socketio\n{rest}"
    try:
        before = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    assume("flask_realtime" not in rest)
    source = read_python(Path("app.py"), text.encode())
    edits, _ = rewrite(parse(source, "app.py"))
    after = ast.dump(ast.parse(source.apply(edits)))
    if "Import(names=[alias(name='flask_realtime')])" in after:
        assert after.count("flask_realtime") == len(edits)
        assert after.replace("flask_realtime", "flask_socketio") == ast.dump(before)
