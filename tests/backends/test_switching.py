"""The switch interval of a process that has clients."""

from __future__ import annotations

import pytest
from backends.script import every_library, run_script

THREADS = """
    from flask_realtime.backends.threads import ThreadsBackend

    backend = ThreadsBackend(4)
    print(sys.getswitchinterval())
    loop = backend.loop()
    print(sys.getswitchinterval())
    loop.stop()
"""
ASGI = """
    from flask_realtime.backends.asyncio import run_backend

    async def serve():
        print(sys.getswitchinterval())
        run_backend({}, 4)
        print(sys.getswitchinterval())

    asyncio.run(serve())
"""
SETUP = "import asyncio, sys\n"
both = pytest.mark.parametrize("script", [THREADS, ASGI], ids=["threads", "asgi"])


@both
def test_is_shortened_when_there_is_a_loop(script: str) -> None:
    assert run_script(script, setup=SETUP).split() == ["0.005", "0.001"]


@both
@pytest.mark.parametrize("chosen", ["0.01", "0.0005"])
def test_stays_where_the_app_has_chosen_one(script: str, chosen: str) -> None:
    setup = f"{SETUP}sys.setswitchinterval({chosen})\n"
    assert run_script(script, setup=setup).split() == [chosen, chosen]


@every_library
def test_stays_where_handlers_have_no_threads(library: str) -> None:
    script = f"""
        from flask_realtime.backends.green import GreenBackend

        GreenBackend({library!r}, 4).loop()
        print(sys.getswitchinterval())
    """
    assert run_script(script, library, setup=SETUP).split() == ["0.005"]
