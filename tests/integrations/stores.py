"""Where the tests keep their rows and keys: servers that are there, or processes of the tests' own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from acceptance import wire
from brokers import REDIS_SERVER, redis_server
from requiring import Require
from servers import free_port

#: A server where the user may create schemas; one of our own is started where it does not answer.
POSTGRESQL_URL = os.environ.get("POSTGRESQL_URL", "postgresql+psycopg://root@127.0.0.1:5432/test")
#: Debian keeps them out of the path.
POSTGRESQL_PROGRAMS = (os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin")))


@contextlib.contextmanager
def postgresql_server(require: Require) -> Iterator[sa.URL]:
    """The URL of a PostgreSQL server, until the block ends."""
    url = sa.make_url(POSTGRESQL_URL)
    if _accepts(url):
        yield url
        return
    initdb, postgres = (_program(name) for name in ("initdb", "postgres"))
    require("PostgreSQL", initdb and postgres)
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        data = Path(folder) / "data"
        user = _unprivileged_user(folder)
        own = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(
            [str(initdb), "-D", data, "-A", "trust", "-U", "root", "-E", "UTF8", "--no-sync"],
            check=True,
            **own,  # type: ignore[call-overload]
        )
        port = free_port()
        options = ["-p", str(port), "-k", folder, "-h", "127.0.0.1", "-c", "fsync=off"]
        with subprocess.Popen([str(postgres), "-D", data, *options], **own) as process:  # type: ignore[call-overload]
            url = url.set(username="root", host="127.0.0.1", port=port, database="postgres")
            try:
                wire.wait_until(lambda: _accepts(url), timeout=30, what="PostgreSQL answers")
                yield url
            finally:
                process.terminate()


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join(POSTGRESQL_PROGRAMS))


def _unprivileged_user(folder: str) -> str | None:
    """PostgreSQL does not run as root: who shall run it, and own the folder."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, user)
    return user


def _accepts(url: sa.URL) -> bool:
    engine = sa.create_engine(url)
    try:
        engine.connect().close()
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()
    return True


@contextlib.contextmanager
def schema(server: sa.URL) -> Iterator[str]:
    """The URL of a schema of the test's own, until the block ends."""
    name = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(name))
    try:
        url = server.update_query_dict({"options": f"-csearch_path={name}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(name, cascade=True))
        engine.dispose()


@pytest.fixture(scope="session")
def redis_url(require: Require) -> Iterator[str]:
    """A Redis server for all tests that leave each other's keys alone."""
    require("redis-server", REDIS_SERVER)
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgresql(require: Require) -> Iterator[sa.URL]:
    """A PostgreSQL server for all tests that have a schema of their own."""
    with postgresql_server(require) as url:
        yield url


@pytest.fixture
def database_url(postgresql: sa.URL) -> Iterator[str]:
    """A PostgreSQL database for one test."""
    with schema(postgresql) as url:
        yield url
