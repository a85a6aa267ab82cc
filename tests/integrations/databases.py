"""Where the tests have their tables."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

POSTGRESQL = os.environ.get("POSTGRESQL_URL", "postgresql+psycopg://root@127.0.0.1:5432/test")


@contextlib.contextmanager
def database(name: str, folder: Path, require: Callable[[str, object], None]) -> Iterator[str]:
    """The URL of a database of the test's own, until the block ends."""
    if name == "sqlite":
        yield f"sqlite:///{folder}/test.db"
        return
    schema = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(POSTGRESQL)
    try:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(schema))
    except sa.exc.OperationalError:
        engine.dispose()
        require(f"PostgreSQL at {engine.url.host}:{engine.url.port}", False)
    try:
        url = engine.url.update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        engine.dispose()
