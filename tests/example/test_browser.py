"""The chat as people use it: the example in its own process, the official client, Chromium."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

if importlib.util.find_spec("playwright") is None and os.environ.get("REQUIRE_ALL") != "1":
    pytest.skip("missing: playwright", allow_module_level=True)

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    expect,
    sync_playwright,
)

pytestmark = pytest.mark.browser

CLIENT = Path("tests/node/node_modules/socket.io-client/dist/socket.io.min.js")
# Nothing but this machine is asked for anything.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 10_000  # milliseconds until what is expected has to have happened

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(missing: Callable[[str], NoReturn]) -> Iterator[Browser]:
    """Chromium, for this module only: Playwright's event loop would be in the way of other tests."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing("Chromium (set CHROMIUM to its path)")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def client_js(missing: Callable[[str], NoReturn]) -> Path:
    """The official client."""
    root = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("SOCKETIO_CLIENT_JS") or root / CLIENT).resolve()
    if not path.is_file():
        missing(f"{CLIENT} (run npm install in tests/node, or set SOCKETIO_CLIENT_JS)")
    return path


@pytest.fixture
def server(serve: Callable[..., Any], client_js: Path) -> Any:
    """The example with the official client from a file."""
    options = ("--port", "{port}", "--database", "{database}", "--client-js", str(client_js))
    return serve("example_app", *options)


@pytest.fixture
def visit(server: Any, browser: Browser) -> Iterator[Visit]:
    """Open the page as somebody. In the end no page may have had an error."""
    contexts = []
    errors: list[str] = []

    def note_violation(message: ConsoleMessage) -> None:
        if "Content Security" in message.text:
            errors.append(message.text)

    def open_page(name: str = "", query: str = "") -> Page:
        context = browser.new_context(locale="en-GB")
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note_violation)
        page.goto(f"{server.url}{query}")
        if name:
            come_in(page, name)
            page.locator("#chat").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def come_in(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Come in").click()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Message", exact=True).press("Enter")


def bubbles(page: Page) -> Locator:
    """The messages of the conversation that is shown."""
    return page.locator(".log:visible .bubble")


def shows(locator: Locator, *texts: str | re.Pattern[str]) -> None:
    """Wait until these are the texts, all of them, in this order."""
    expect(locator).to_have_text(list(texts))


def is_there(locator: Locator) -> None:
    expect(locator).to_be_visible()


def has_width(image: Locator, width: int) -> None:
    expect(image).to_have_js_property("naturalWidth", width)


def is_gone(locator: Locator) -> None:
    expect(locator).to_be_hidden()


def banner(page: Page, state: str) -> Locator:
    return page.locator(f'#banner[data-state="{state}"]')


def send_file(page: Page, name: str, mime_type: str, data: bytes) -> None:
    page.locator("#file").set_input_files(FilePayload(name=name, mimeType=mime_type, buffer=data))


def picture(width: int, height: int) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x0f\x76\x6e" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks.items())


@pytest.mark.parametrize(
    ("query", "transport"),
    [("", "websocket"), ("?transports=websocket", "websocket"), ("?transports=polling", "polling")],
    ids=["upgrade", "websocket", "polling"],
)
def test_two_people_chat(visit: Visit, query: str, transport: str) -> None:
    ada, bob = visit("Ada", query), visit("Bob", query)
    say(ada, "Hello Bob!")
    shows(bubbles(bob), "Hello Bob!")
    say(bob, "Hello Ada!\nHow are you?")
    for page in (ada, bob):
        shows(bubbles(page), "Hello Bob!", "Hello Ada!\nHow are you?")
        shows(page.locator("#status-text"), transport)
        shows(page.locator("#members .name"), "Ada", "Bob")
        is_there(page.locator('.mine[data-state="sent"]').get_by_label("Sent"))


def test_a_name_that_is_taken_is_refused_on_the_page(visit: Visit) -> None:
    visit("Ada")
    page = visit()
    come_in(page, "ada")
    is_there(page.get_by_text("Somebody called Ada is already here."))
    come_in(page, "Bob")
    shows(page.locator("#members .name"), "Ada", "Bob")


def test_typing_is_shown_and_ends(visit: Visit) -> None:
    ada, bob = visit("Ada"), visit("Bob")
    ada.get_by_label("Message", exact=True).press_sequentially("Hmm")
    is_there(bob.get_by_text("Ada is typing…"))
    say(ada, "Hmm, no.")
    is_gone(bob.get_by_text("Ada is typing…"))
    ada.get_by_label("Message", exact=True).press_sequentially("or")
    is_there(bob.get_by_text("Ada is typing…"))
    is_gone(bob.get_by_text("Ada is typing…"))  # by itself, after some seconds without a key


def test_a_private_message(visit: Visit) -> None:
    ada, bob, cleo = visit("Ada"), visit("Bob"), visit("Cleo")
    ada.locator("#members").get_by_role("button", name="Bob").click()
    say(ada, "Psst!")
    is_there(ada.get_by_label("Sent"))
    bob.locator("#privates").get_by_role("button", name="Ada").click()
    shows(bubbles(bob), "Psst!")
    say(bob, "What?")
    shows(bubbles(ada), "Psst!", "What?")
    assert cleo.locator("#privates li").count() == 0
    bob.context.close()
    shows(cleo.locator("#members .name"), "Ada", "Cleo")
    say(ada, "Bob?")
    is_there(ada.get_by_text("Bob is not here."))


def test_a_picture_and_a_file(visit: Visit) -> None:
    ada, bob = visit("Ada"), visit("Bob")
    send_file(ada, "teal.png", "image/png", picture(40, 20))
    has_width(bob.locator(".picture img"), 40)
    data = bytes(range(256)) * 2000
    send_file(ada, "page.html", "text/html", data)
    link = bob.get_by_role("link", name="page.html 512 kB")
    with bob.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "page.html"
    assert Path(download.value.path()).read_bytes() == data
    shows(ada.locator(".mark[aria-label=Sent]"), "", "")
    shows(bubbles(visit("Cleo")), re.compile("teal.png.*not kept"), re.compile("page.html.*not kept"))


def test_a_file_over_polling(visit: Visit) -> None:
    """The largest that is allowed: as base64 it is a third longer."""
    ada, bob = visit("Ada", "?transports=polling"), visit("Bob")
    send_file(ada, "big.bin", "", b"\xff" * 900_000)
    is_there(bob.get_by_role("link", name="big.bin 900 kB"))
    send_file(ada, "bigger.bin", "", b"\xff" * 900_001)
    is_there(ada.get_by_text("bigger.bin is larger than 900 kB."))


def test_rooms_are_apart(visit: Visit) -> None:
    ada, bob = visit("Ada"), visit("Bob")
    ada.get_by_label("Create or enter a room").fill("Book Club")
    ada.get_by_label("Create or enter a room").press("Enter")
    shows(ada.locator("#title"), "#book-club")
    say(ada, "Only for readers.")
    say(bob, "Where is Ada?")
    is_there(ada.locator("#rooms").get_by_label("1 unread"))
    shows(bubbles(bob), "Where is Ada?")
    bob.locator("#rooms").get_by_role("button", name="book-club").click()
    shows(bubbles(bob), "Only for readers.")
    shows(bob.locator("#members .name"), "Ada", "Bob")
    ada.get_by_role("button", name="Leave room").click()
    shows(ada.locator("#title"), "#lobby")
    shows(bubbles(ada), "Where is Ada?")
    shows(bob.locator("#members .name"), "Bob")


def test_markup_is_text(visit: Visit) -> None:
    ada, bob = visit("Ada"), visit("Bob")
    attack = "<img src=x onerror=alert(1)> <script>alert(2)</script> javascript:alert(3)"
    say(ada, attack)
    say(ada, "https://example.org/?a=1&b=2.")
    shows(bubbles(bob), attack, "https://example.org/?a=1&b=2.")
    link = bob.locator(".bubble a")
    assert link.get_attribute("href") == "https://example.org/?a=1&b=2"
    assert bob.locator(".bubble img, .bubble script").count() == 0


def test_a_reload_keeps_the_name_and_the_room_and_brings_the_history(visit: Visit) -> None:
    ada = visit("Ada")
    ada.locator("#rooms").get_by_role("button", name="random").click()
    shows(ada.locator("#title"), "#random")
    say(ada, "Anybody?")
    is_there(ada.get_by_label("Sent"))
    ada.reload()
    shows(bubbles(ada), "Anybody?")
    shows(ada.locator("#title"), "#random")
    shows(ada.locator("#members .name"), "Ada")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_who_was_offline_gets_what_was_missed(visit: Visit, transport: str) -> None:
    """The server does not know that the old connection is dead when the new one comes."""
    ada, bob = visit("Ada"), visit("Bob", f"?transports={transport}")
    say(ada, "one")
    shows(bubbles(bob), "one")
    bob.context.set_offline(True)
    is_there(banner(bob, "reconnecting"))
    shows(bob.locator("#status-text"), "reconnecting")
    say(ada, "two")
    say(bob, "mine")
    is_there(bob.get_by_label("Waiting to be sent"))
    is_there(bob.get_by_text("1 message will be sent then."))
    say(ada, "three")
    shows(ada.locator('.mine[data-state="sent"] .bubble'), "one", "two", "three")
    is_there(bob.get_by_text(re.compile(r"attempt \d")))
    bob.context.set_offline(False)
    is_there(banner(bob, "back"))
    for page in (ada, bob):
        shows(bubbles(page), "one", "two", "three", "mine")
    is_there(bob.locator('.mine[data-state="sent"]'))
    say(ada, "four")
    shows(bubbles(bob), "one", "two", "three", "mine", "four")


def test_a_restart_of_the_server_is_survived(server: Any, visit: Visit) -> None:
    ada, bob = visit("Ada"), visit("Bob")
    say(ada, "before")
    shows(bubbles(bob), "before")
    server.stop()
    for page in (ada, bob):
        is_there(banner(page, "reconnecting"))
    say(ada, "meanwhile")
    server.start()
    for page in (ada, bob):
        shows(page.locator("#members .name"), "Ada", "Bob")
        shows(bubbles(page), "before", "meanwhile")
        shows(page.locator("#status-text"), "websocket")
    say(bob, "after")
    for page in (ada, bob):
        shows(bubbles(page), "before", "meanwhile", "after")
        is_gone(banner(page, "back"))


def test_a_client_that_cannot_be_loaded_is_told(server: Any, browser: Browser) -> None:
    with browser.new_context() as context:
        context.route("**/socket.io.min.js", lambda route: route.abort())
        page = context.new_page()
        page.goto(server.url)
        is_there(page.get_by_text("The Socket.IO client could not be loaded."))
