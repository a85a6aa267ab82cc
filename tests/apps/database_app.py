"""An app with a database, of which ``APP_DATABASE`` is the URL; ``/pool`` tells what is in use of it."""

from __future__ import annotations

import monkey_patching  # noqa: F401 - before anything that it replaces

# isort: split
import importlib.util
import os

from app_options import command_line, configure_logging, socketio_options
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_realtime import ConnectionRefusedError, SocketIO, emit


class Base(DeclarativeBase):
    pass


configure_logging()
app = Flask("database")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["APP_DATABASE"]
# Fewer connections than clients: one that is not given back is missed soon.
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 4, "max_overflow": 0, "pool_timeout": 15}
db = SQLAlchemy(app, model_class=Base)
socketio = SocketIO(app, **socketio_options())


class Note(db.Model):  # type: ignore[name-defined]
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Note)) or 0


with app.app_context():
    db.create_all()
    db.session.remove()
    # A forked worker or a patched hub opens connections of its own.
    db.engine.dispose()


@app.route("/healthz")
def healthz() -> ResponseReturnValue:
    return "ok"


@app.route("/pool")
def pool() -> ResponseReturnValue:
    return jsonify(checkedout=db.engine.pool.checkedout(), sessions=len(db.session.registry.registry))


@app.route("/notes")
def notes() -> ResponseReturnValue:
    return jsonify(count())


@socketio.on("connect")
def connect(auth):
    count()
    if not auth["welcome"]:
        raise ConnectionRefusedError("not welcome")


@socketio.on("disconnect")
def disconnect(reason):
    count()


@socketio.on("write")
def write():
    db.session.add(Note(text="written"))
    if db.engine.name == "postgresql":
        db.session.execute(text("SELECT pg_sleep(0.005)"))  # the others have their turn meanwhile
    db.session.commit()
    return count() > 0


@socketio.on("read")
async def read():
    return count() >= 0


@socketio.on("fail")
def fail():
    count()
    raise LookupError("on purpose")


@socketio.on("ask")
def ask():
    def answered(answer):
        count()
        return answer

    count()
    emit("question", callback=answered)
    return True


@socketio.on_error_default
def failed(error):
    return isinstance(error, LookupError) and count() >= 0


asgi_app = socketio.asgi_app(app) if importlib.util.find_spec("a2wsgi") else None

if __name__ == "__main__":
    port, options = command_line()
    socketio.run(app, host="127.0.0.1", port=port, **options)
