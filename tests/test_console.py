"""The page /console in Chromium, against a real server: every function called over both transports, and the rest."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from harness import REPOSITORY, Server, wait_until
from many_types import HINTS
from many_types import api as many_types
from playwright.sync_api import Browser, Locator, WebSocketRoute, expect
from visitor import Visitor

AXE = REPOSITORY / "frontend/node_modules/axe-core/axe.min.js"
CONSOLE = REPOSITORY / "service/isomor/console"

API = {
    "order.py": '''
        from dataclasses import dataclass, field
        from typing import Annotated, Literal
        from msgspec import Meta, Struct

        class Card(Struct, tag=True):
            number: Annotated[str, Meta(min_length=4)]

        class Cash(Struct, tag=True):
            coins: list[Annotated[int, Meta(ge=1)]]

        @dataclass
        class Item:
            name: Annotated[str, Meta(min_length=2)]
            count: Annotated[int, Meta(ge=1, le=9)] = 1

        @dataclass
        class Order:
            items: list[Item]
            prices: dict[str, Annotated[float, Meta(gt=0)]]
            pay: Card | Cash
            speed: Literal["slow", "fast"] = "slow"
            note: str | None = None

        async def order(order: Order, urgent: bool, limit: int = 10, *tags: Annotated[str, Meta(max_length=3)]) -> str:
            """Order something."""
            return repr((order, urgent, limit, tags))
    ''',
    "add.py": "async def add(a: int, b: int = 1) -> int: return a + b",
    "middle.py": "async def middle(a: int, b: dict[str, int] | None = None, c: int = 3) -> list: return [a, b, c]",
    "slow.py": """
        import asyncio
        ended = []
        async def slow() -> None:
            try:
                await asyncio.sleep(300)
            except asyncio.CancelledError:
                ended.append(1)
                raise
    """,
    "ended.py": """
        from . import slow
        async def ended() -> int: return len(slow.ended)
    """,
    "price.py": """
        from isomor import cached
        @cached(max_age=60)
        async def price(what: str) -> str: return f"{what}: 3"
    """,
    "fail.py": "async def fail() -> None: raise RuntimeError('secret')",
    "say.py": """
        from typing import Any
        from isomor import push
        async def say(payload: Any) -> None: await push(payload)
    """,
    "evil.py": '''
        async def evil(a: str = "<img src=x>") -> str:
            """<img src=x onerror=alert(1)> <script>alert(2)</script>"""
            return "<img src=x onerror=alert(3)><script>alert(4)</script>"
    ''',
    "big.py": "async def big(n: int) -> list[int]: return list(range(n))",
}


class Console(Visitor):
    """The page, by what stands on it."""

    def open(self, address: str = "", *, state: str = "Open") -> Console:
        self.page.goto(f"{self.url}/console{address}")
        expect(self.id("count")).not_to_be_empty(timeout=30_000)
        expect(self.id("state")).to_have_text(state, timeout=30_000)
        return self

    def id(self, name: str) -> Locator:
        return self.page.locator(f"#{name}")

    def pick(self, name: str) -> None:
        if (back := self.page.get_by_role("link", name="All functions")).is_visible():
            back.click()
        self.page.get_by_role("navigation", name="Functions").locator(f'[data-name="{name}"]').click()
        expect(self.page.get_by_role("heading", level=1, name=name, exact=True)).to_be_focused()

    def field(self, label: str, within: str | None = None) -> Locator:
        place = self.page.get_by_role("group", name=within, exact=True) if within else self.page.locator("form")
        return place.get_by_label(label, exact=True)

    def over(self, transport: str) -> Locator:
        return self.page.get_by_role("radio", name=transport, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def summary(self) -> Locator:
        return self.page.locator(".summary")

    def call(self, outcome: str = "Result") -> str:
        """Call; gives the result, as JSON, or the error's message."""
        if outcome not in ("Result", "CANCELLED"):
            self.excused.append("Failed to load resource: the server responded with a status of 4")
        self.button("Call").click()
        expect(self.summary.locator("strong")).to_have_text(outcome, timeout=30_000)
        return self.page.locator(".outcome .json" if outcome == "Result" else ".outcome .message").inner_text()

    @property
    def pushes(self) -> Locator:
        return self.id("pushes").get_by_role("listitem")

    @property
    def past(self) -> Locator:
        return self.id("history").get_by_role("listitem")


@pytest.fixture
def visit(browser: Browser, serve: Callable[..., Server]) -> Iterator[Callable[..., Console]]:
    """Open the console of a server. Pages are closed before servers that a test has started are."""
    consoles: list[Console] = []

    def visit(server: Server, **options: Any) -> Console:
        consoles.append(Console(browser, server.url, **options))
        return consoles[-1]

    yield visit
    for console in consoles:
        console.close()


@pytest.fixture(scope="module")
def example(serve_module: Callable[..., Server]) -> Server:
    return serve_module(REPOSITORY / "api")


@pytest.fixture(scope="module")
def server(serve_module: Callable[..., Server]) -> Server:
    return serve_module({name: textwrap.dedent(source) for name, source in API.items()})


@pytest.fixture
def console(visit: Callable[..., Console], server: Server) -> Console:
    return visit(server).open()


# ---- Calls -----------------------------------------------------------------------------------------------------------

# What is typed, by the label of the field; what comes, where it is no result.
TYPED = {
    "join_room": {"room": "lobby"},
    "leave_room": {"room": "lobby"},
    "send_message": {"room": "lobby", "name": "Ada", "text": "Hello"},
    "set_auth": {"token": "t"},
    "set_color": {"color": "#123456"},
    "set_theme": {"theme": "dark"},
    "set_user": {"name": "Ada", "email": "ada@example.com"},
    "use_cookies": {"on": True},
}
OUTCOMES = {"raise_error": "ALWAYS_FAILS", "drop_connection": "CONNECTION_LOST"}
NEEDS = {
    "HTTP": {"get_auth", "set_auth", "set_theme"},
    "WebSocket": {"drop_connection", "join_room", "leave_room", "push_time", "use_cookies", "watch_color"},
}
FUNCTIONS = sorted(path.stem for path in (REPOSITORY / "api").glob("[a-z]*.py"))


def fill(console: Console, name: str) -> None:
    for label, value in TYPED.get(name, {}).items():
        field = console.field(label)
        if isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("(element) => element.tagName") == "SELECT":
            field.select_option(str(value))
        else:
            field.fill(value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_example_over_both_transports(visit, example, name):
    console = visit(example).open()
    console.pick(name)
    fill(console, name)
    calls = 0
    for transport, other in (("HTTP", "WebSocket"), ("WebSocket", "HTTP")):
        choice = console.over(transport)
        if name in NEEDS[other]:
            expect(choice).to_be_disabled()
            code = "UPGRADE_REQUIRED" if other == "WebSocket" else "HTTP_REQUIRED"
            expect(choice).to_have_accessible_description(re.compile(f"Not over {transport}.*{code}"))
            continue
        choice.check()
        console.call(OUTCOMES.get(name, "Result"))
        expect(console.summary).to_have_text(re.compile(rf"\d ms · {transport}$"))
        calls += 1
        expect(console.past).to_have_count(calls)
    assert calls == (1 if any(name in names for names in NEEDS.values()) else 2)


def test_the_list_says_what_there_is(visit, example):
    console = visit(example).open("#set_user")
    expect(console.id("functions").get_by_role("link")).to_have_count(len(FUNCTIONS))
    expect(console.id("count")).to_have_text(f"{len(FUNCTIONS)} functions")
    expect(console.page.locator("[data-name=push_time]")).to_have_text(re.compile("push_time WS ?Push the server"))
    expect(console.page.locator(".signature")).to_have_text("set_user(user: User) -> str")
    expect(console.page.locator(".doc")).to_have_text("Greet a user whose data are right.")
    expect(console.page.locator("[data-name=set_user]")).to_have_attribute("aria-current", "page")
    expect(console.page).to_have_title("set_user · isomor console")


def test_results_are_what_came(console):
    console.pick("add")
    console.field("a").fill("2")
    assert console.call() == "3"
    expect(console.summary).to_have_text(re.compile(r"^Result ?200 · [\d.]+ ms · HTTP$"))
    console.field("b").fill("40")
    expect(console.page.get_by_label("What to send for b")).to_have_value("value")
    assert console.call() == "42"
    console.over("WebSocket").check()
    assert console.call() == "42"


def test_an_error_is_shown_with_what_the_server_says(console):
    console.pick("fail")
    console.excused.append("500")
    console.call("INTERNAL")
    expect(console.summary).to_contain_text("500")
    expect(console.page.locator(".outcome")).to_have_text(re.compile("In the server’s log as [0-9a-f]{6}"))
    assert "secret" not in console.page.locator(".outcome").inner_text()


@pytest.mark.parametrize("way", ["button", "Escape"])
def test_a_call_is_cancelled(console, way):
    for transport in ("HTTP", "WebSocket"):
        console.pick("ended")
        before = int(console.call())
        console.pick("slow")
        console.over(transport).check()
        console.button("Call").click()
        expect(console.summary).to_have_text("Running …")
        expect(console.button("Call")).to_have_attribute("aria-disabled", "true")
        if way == "button":
            console.button("Cancel").click()
        else:
            console.page.keyboard.press("Escape")
        expect(console.summary.locator("strong")).to_have_text("CANCELLED")
        expect(console.button("Cancel")).to_be_hidden()
        if transport == "WebSocket":
            console.pick("ended")
            assert int(console.call()) == before + 1


def test_what_came_is_never_run(console):
    console.page.on("dialog", lambda dialog: console.faults.append(dialog.message))
    console.pick("evil")
    assert "<script>alert(4)" in console.call()
    expect(console.page.locator(".doc")).to_contain_text("<img src=x onerror=alert(1)>")
    assert console.page.locator("main img").count() == 0


def test_a_large_result(console):
    console.pick("big")
    console.field("n").fill("100000")
    text = console.call()
    assert text.startswith("[\n  0,")
    assert "characters more" in text


# ---- What does not fit -----------------------------------------------------------------------------------------------


def invalid(console: Console) -> list[str]:
    """The labels of what is marked, in their order."""
    script = """() => [...document.querySelectorAll('form [aria-invalid=true]')].map((one) =>
        one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent)"""
    return console.page.evaluate(script)


def test_faults_stand_at_their_fields(visit, example):
    console = visit(example).open("#set_user")
    console.field("name").fill("A")
    message = console.call("INVALID_ARGS")
    assert message.startswith("set_user: user.name")
    assert invalid(console) == ["name", "email"]
    expect(console.field("name")).to_be_focused()
    expect(console.field("name")).to_have_accessible_description(
        re.compile("Expected str of length >= 2.*2 to 20 char")
    )
    expect(console.field("email")).to_have_accessible_description(re.compile("matching regex"))
    console.field("name").fill("Ada")
    console.over("WebSocket").check()
    console.call("INVALID_ARGS")
    assert invalid(console) == ["email"]
    expect(console.field("email")).to_be_focused()
    console.field("email").fill("ada@example.com")
    assert "Hello Ada" in console.call()
    assert invalid(console) == []


def test_faults_in_lists_maps_and_variants(console):
    console.pick("order")
    for _ in range(2):
        console.button("Add to items").click()
    expect(console.field("name", within="[1]")).to_be_visible()
    console.field("name", within="[0]").fill("Tea")
    console.page.get_by_label("What to send for count").nth(1).select_option("value")
    console.field("count", within="[1]").fill("12")
    console.button("Add to prices").click()
    console.page.get_by_label("Key [0] of prices").fill("a.b[0]")
    console.field("value", within="prices").fill("-1")
    console.page.get_by_label("Type of pay").select_option("Cash")
    console.button("Add to coins").click()
    console.field("[0]", within="coins").fill("x")
    console.button("Add to tags").click()
    console.field("[0]", within="tags").fill("far too long")
    console.call("INVALID_ARGS")
    assert invalid(console) == ["name", "count", "value", "[0]", "[0]"]
    expect(console.field("name", within="[1]")).to_be_focused()
    expect(console.field("count", within="[1]")).to_have_accessible_description(re.compile("Expected int <= 9"))
    expect(console.field("[0]", within="coins")).to_have_accessible_description(re.compile("Expected int, got str"))
    expect(console.field("[0]", within="tags")).to_have_accessible_description(re.compile("length <= 3"))
    console.button("Remove items[1]").click()
    expect(console.button("Remove items[0]")).to_be_focused()
    console.field("value", within="prices").fill("1.5")
    console.field("[0]", within="coins").fill("5")
    console.field("[0]", within="tags").fill("new")
    result = json.loads(console.call())
    assert "Item(name='Tea', count=1)" in result
    assert "prices={'a.b[0]': 1.5}, pay=Cash(coins=[5]), speed='slow', note=None), False, 10, ('new',))" in result


def test_what_cannot_be_left_out_is_said_before_a_call(visit, serve):
    source = "class _Own: pass\nOWN = _Own()\nasync def f(a: int = OWN, b: int = 2) -> None: pass"
    console = visit(serve({"f.py": source})).open("#f")
    console.field("b").fill("3")
    console.button("Call").click()
    expect(console.field("a")).to_be_focused()
    expect(console.field("a")).to_have_accessible_description(re.compile("an argument behind it is given"))
    expect(console.past).to_have_count(0)


def test_an_argument_in_the_middle_is_what_it_is_by_default(console):
    console.pick("middle")
    console.field("a").fill("1")
    console.field("c").fill("5")
    assert json.loads(console.call()) == [1, None, 5]


# ---- Forms -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(serve_module: Callable[..., Server]) -> Server:
    return serve_module(many_types())


def test_a_form_for_every_type(visit, many):
    """Of each type, the example goes into fields, comes out of them as it was, and is taken by the function."""
    console = visit(many).open()
    document = many.http.get("/api-docs/openapi.json").json()
    names = [*(f"give_{name}" for name in HINTS), "several", "look", "no_hints"]
    for name in names:
        args = document["paths"][f"/isomor/api/{name}"]["post"]["requestBody"]["content"]["application/json"]
        console.pick(name)
        console.button("Example").click()
        expect(console.button("Raw JSON"), name).to_have_attribute("aria-pressed", "false")
        console.call()
        sent = console.page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('args')")
        assert json.loads(sent or "[]") == args["example"]["args"], name


def test_every_form_opens_empty(visit, many):
    """Whatever may be left out is; the server says what is missing, and each of that is shown at a field."""
    console = visit(many).open()
    console.excused.append("422")
    for name in HINTS:
        console.pick(f"give_{name}")
        console.button("Call").click()
        expect(console.summary.locator("strong"), name).to_have_text(re.compile("^(Result|INVALID_ARGS)$"))
        if console.summary.locator("strong").inner_text() == "INVALID_ARGS":
            assert console.page.locator("form .fault:visible").count() > 0, name
            assert console.page.locator(".outcome ul").count() == 0, name


def test_a_fault_of_a_list_as_a_whole(visit, many):
    console = visit(many, bypass_csp=True).open("#give_few")
    console.button("Remove value[0]").click()
    console.call("INVALID_ARGS")
    expect(console.button("Add to value")).to_be_focused()
    expect(console.button("Add to value")).to_have_accessible_description(re.compile("Expected array of length >= 1"))
    expect(console.page.get_by_role("group", name="value")).to_contain_text("Expected array of length >= 1")
    console.page.evaluate(AXE.read_text())
    assert console.page.evaluate("axe.run(document).then((found) => found.violations.map((one) => one.id))") == []


def test_a_type_that_holds_itself(visit, many):
    console = visit(many).open("#give_node")
    console.field("value", within="value").fill("1")
    for name, value in (("[0]", "2"), ("[0]", "3")):
        console.page.get_by_label("What to send for children").last.select_option("value")
        console.button("Add to children").first.click()
        choice = console.page.get_by_label(f"What to send for {name}").last
        choice.select_option("value")
        console.page.get_by_label("value", exact=True).last.fill(value)
    assert json.loads(console.call())["children"][0]["children"][0]["value"] == 3


def test_constraints_and_docs_are_shown(visit, many):
    console = visit(many).open("#give_person")
    expect(console.field("name")).to_have_accessible_description("As on the passport. 1 to 20 characters")
    expect(console.field("age")).to_have_accessible_description("0 to 150 · default 30")
    expect(console.page.locator("form .hint").first).to_have_text("Someone.")
    console.pick("give_limited")
    expect(console.field("value")).to_have_accessible_description("at least 0, below 10, a multiple of 2")


def test_raw_json(console):
    console.pick("order")
    console.button("Raw JSON").click()
    area = console.field("Arguments, as a JSON array")
    expect(area).to_be_visible()
    assert json.loads(area.input_value())[0]["pay"] == {"type": "Card", "number": ""}
    for text, said in (("{", "This is not JSON"), ('{"a": 1}', "This is not an array")):
        area.fill(text)
        console.button("Call").click()
        expect(area).to_be_focused()
        expect(area).to_have_accessible_description(re.compile(said))
        expect(console.past).to_have_count(0)
    area.fill('[{"items": [{"name": "x"}], "prices": {}, "pay": {"type": "Card", "number": "1"}}, 5]')
    console.call("INVALID_ARGS")
    expect(area).to_have_accessible_description(re.compile(r"order\.items\[0\]\.name.*order\.pay\.number.*urgent"))
    area.fill('[{"items": [], "prices": {}, "pay": {"type": "Cash", "coins": [7]}}, true]')
    console.button("Raw JSON").click()
    expect(console.field("[0]", within="coins")).to_have_value("7")
    expect(console.field("urgent")).to_be_checked()
    console.call()
    console.button("Raw JSON").click()
    area.fill('["what no form shows"]')
    console.button("Raw JSON").click()
    expect(area).to_have_accessible_description(re.compile("do not go into the fields"))


# ---- The address, the history, curl ----------------------------------------------------------------------------------


def test_a_call_is_in_the_address(visit, server):
    console = visit(server).open("#add")
    console.field("a").fill("20")
    console.field("b").fill("3")
    console.over("WebSocket").check()
    address = console.page.evaluate("location.hash")
    other = visit(server).open(address)
    expect(other.field("a")).to_have_value("20")
    expect(other.over("WebSocket")).to_be_checked()
    assert other.call() == "23"
    other.page.reload()
    expect(other.field("b")).to_have_value("3")
    other.button("Raw JSON").click()
    other.field("Arguments, as a JSON array").fill("[1, 2")
    other.page.reload()
    expect(other.field("Arguments, as a JSON array")).to_have_value("[1, 2")


def test_what_was_typed_is_there_again(console):
    console.pick("add")
    console.field("a").fill("20")
    console.pick("price")
    console.pick("add")
    expect(console.field("a")).to_have_value("20")
    console.page.go_back()
    expect(console.page.get_by_role("heading", level=1)).to_have_text("price")


def test_an_address_of_no_function(visit, server):
    console = visit(server).open("#nothing?args=%5B")
    expect(console.page.get_by_role("heading", level=1)).to_have_text("There is no such function")


def test_the_history_repeats(console):
    console.pick("add")
    console.field("a").fill("1")
    console.call()
    console.over("WebSocket").check()
    console.field("a").fill("nonsense")
    console.call("INVALID_ARGS")
    expect(console.past).to_have_text([re.compile("add.*nonsense.*WebSocket · INVALID_ARGS"), re.compile("HTTP · ok")])
    console.page.reload()
    expect(console.past).to_have_count(2)
    console.pick("price")
    console.past.last.get_by_role("button", name=re.compile("Repeat add over HTTP")).click()
    expect(console.summary.locator("strong")).to_have_text("Result")
    expect(console.field("a")).to_have_value("1")
    expect(console.over("HTTP")).to_be_checked()
    expect(console.past).to_have_count(3)
    console.button("Clear history").click()
    expect(console.past).to_have_count(0)


def test_the_history_is_bounded(console):
    console.pick("add")
    console.field("a").fill("1")
    for count in range(1, 28):
        console.call()
        expect(console.past).to_have_count(min(count, 25))


def test_the_same_call_by_curl(visit, server):
    console = visit(server, permissions=["clipboard-read", "clipboard-write"]).open("#price")
    console.field("what").fill('it\'s "tea" & $HOME')

    def copied() -> list[str]:
        console.button("Copy as curl").click()
        expect(console.button("Copied")).to_be_visible()
        return shlex.split(console.page.evaluate("navigator.clipboard.readText()"))

    program, get, url, option, value = copied()
    assert (program, get, url, option) == ("curl", "--get", f"{server.url}/isomor/api/price", "--data-urlencode")
    assert server.get("price", params={"args": value.removeprefix("args=")}).json() == {
        "result": 'it\'s "tea" & $HOME: 3'
    }
    console.pick("add")
    console.field("a").fill("4")
    program, url, header, kind, option, body = copied()
    assert (program, url, header, option) == ("curl", f"{server.url}/isomor/api/add", "-H", "-d")
    answer = server.http.post(url, content=body, headers=dict([kind.split(": ")]))
    assert answer.json() == {"result": 5}
    console.over("WebSocket").check()
    expect(console.page.get_by_role("button", name=re.compile("curl|Copied"))).to_have_count(0)


# ---- Pushes ----------------------------------------------------------------------------------------------------------


def test_pushes_arrive_in_the_log(visit, example):
    console = visit(example).open("#push_time")
    console.call()
    expect(console.pushes.first).to_have_text(re.compile(r'\d\d:\d\d:\d\dno topic"\d\d:\d\d:\d\d"'))
    expect(console.pushes.nth(1)).to_be_visible(timeout=10_000)
    expect(console.id("push-count")).to_have_text(re.compile(r"\d+ received"))


def test_the_log_is_filtered_paused_and_cleared(visit, serve):
    server = serve(REPOSITORY / "api")
    console = visit(server).open("#watch_color")
    console.call()
    console.pick("join_room")
    console.field("room").fill("lobby")
    console.call()
    server.call("set_color", "#111111")
    server.call("send_message", "lobby", "Ada", "Hello")
    expect(console.pushes).to_have_count(2)
    expect(console.pushes.first).to_contain_text("room:lobby")
    console.page.get_by_label("Show pushes of").select_option("color")
    expect(console.pushes).to_have_text([re.compile('color"#111111"')])
    console.page.get_by_label("Show pushes of").select_option("No topic")
    expect(console.pushes).to_have_count(0)
    console.page.get_by_label("Show pushes of").select_option("All topics")
    console.button("Pause").click()
    server.call("set_color", "#222222")
    expect(console.id("push-count")).to_have_text("3 received, 1 while paused")
    expect(console.pushes).to_have_count(2)
    console.button("Pause").click()
    expect(console.pushes).to_have_count(3)
    console.button("Clear").click()
    expect(console.pushes).to_have_count(0)
    expect(console.id("no-pushes")).to_be_visible()


def test_the_log_is_bounded(console, server):
    for number in range(230):
        server.call("say", number)
    expect(console.id("push-count")).to_have_text("230 received")
    expect(console.pushes).to_have_count(200)
    expect(console.pushes.first).to_contain_text("229")


def test_a_gap_is_told(visit, server):
    console = visit(server)

    def lossy(route: WebSocketRoute) -> None:
        route.connect_to_server()
        route.send('{"action":"GAP","topic":"color"}')

    console.page.route_web_socket(re.compile("/isomor/ws"), lossy)
    console.open()
    expect(console.pushes).to_have_text([re.compile("color.*GAP: pushes were lost here")])


# ---- The connection --------------------------------------------------------------------------------------------------


def test_close_and_connect(console):
    expect(console.id("pill")).to_have_text("Open")
    console.button("Close").click()
    expect(console.id("state")).to_have_text("Closed")
    expect(console.id("last-closed")).to_have_text(re.compile("1000 closed by the page"))
    console.button("Connect").click()
    expect(console.id("state")).to_have_text("Open")


def test_it_comes_back_when_the_server_does(visit, serve):
    server = serve({"one.py": "async def one() -> int: return 1"})
    console = visit(server).open("#one")
    console.excused += ["net::ERR_", "503"]
    server.kill()
    expect(console.id("state")).to_have_text(re.compile(r"Reconnecting in \d+ s|Reconnecting …|Connecting …"))
    expect(console.id("last-closed")).to_have_text(re.compile("1006"))
    (server.api / "two.py").write_text("async def two() -> int: return 2")
    server.start()
    expect(console.id("state")).to_have_text("Open", timeout=60_000)
    expect(console.page.locator("[data-name=two]")).to_be_visible()  # what is there now is listed
    assert console.call() == "1"


def test_a_connection_that_is_refused(visit, serve):
    startup = """
        from isomor import ApiError
        async def on_connect(ctx): raise ApiError("members only", status=403)
    """
    server = serve({"one.py": "async def one() -> int: return 1", "startup.py": textwrap.dedent(startup)})
    console = visit(server).open(state="Closed")
    expect(console.id("last-closed")).to_have_text(re.compile("1008 .*members only"))
    console.pick("one")
    assert console.call() == "1"


def test_cookies_over_websocket(visit, example):
    console = visit(example).open("#set_theme")
    switch = console.page.get_by_label(re.compile("Send cookies"))
    expect(switch).not_to_be_checked()
    console.field("theme").select_option("dark")
    console.call()
    console.pick("get_theme")
    console.over("WebSocket").check()
    assert console.call() == "null"
    switch.check()
    assert console.call() == '"dark"'
    switch.uncheck()
    assert console.call() == "null"
    expect(console.id("conf")).to_have_text("nothing yet")
    console.pick("use_cookies")
    console.field("on").check()
    console.call()
    expect(switch).to_be_checked()
    expect(console.id("conf")).to_have_text(re.compile(r'\d\d:\d\d:\d\d · {"withCookie":true}'))
    console.pick("get_theme")
    assert console.call() == '"dark"'


def test_what_the_server_says_of_cookies_on_opening(visit, serve):
    console = visit(serve(REPOSITORY / "api", env={"WS_WITH_COOKIE": "1"})).open()
    expect(console.id("conf")).to_have_text(re.compile('{"withCookie":true}'))
    expect(console.page.get_by_label(re.compile("Send cookies"))).to_be_checked()


# ---- While functions change ------------------------------------------------------------------------------------------


def test_changes_are_seen(visit, serve):
    server = serve({"add.py": "async def add(a: int) -> int: return a"}, args=["--watch"])
    console = visit(server).open("#add")
    console.field("a").fill("5")
    (server.api / "add.py").write_text("async def add(a: int, b: int) -> int: return a + b")
    (server.api / "new.py").write_text("async def new() -> int: return 1")
    wait_until(
        lambda: "/isomor/api/new" in server.http.get("/api-docs/openapi.json").text, "the functions to be loaded"
    )
    console.page.evaluate("dispatchEvent(new Event('focus'))")
    expect(console.page.locator("[data-name=new]")).to_be_visible()
    expect(console.page.get_by_label("b", exact=True)).to_be_visible()
    expect(console.field("a")).to_have_value("5")
    expect(console.id("said")).to_have_text("The functions have changed; the list is up to date.")
    (server.api / "add.py").write_text("async def add(a: int, b: int, c: str) -> str: return c")
    wait_until(lambda: server.post("add", 1, 2, "x").status_code == 200, "the function to be loaded")
    console.excused.append("409")
    console.field("b").fill("6")
    console.button("Call").click()
    expect(console.past.first).to_contain_text("OUTDATED_CLIENT")
    expect(console.field("c")).to_be_visible()
    expect(console.field("b")).to_have_value("6")
    (server.api / "add.py").unlink()
    wait_until(lambda: server.post("add", 1, 2).status_code == 404, "the function to be gone")
    console.field("b").fill("1")
    console.call("NOT_FOUND")
    expect(console.page.locator("[data-name=add]")).to_have_count(0)


# ---- For everyone ----------------------------------------------------------------------------------------------------


def test_by_keyboard_alone(visit, example):
    console = visit(example).open()
    keys = console.page.keyboard
    keys.press("Tab")
    expect(console.id("skip")).to_be_focused()
    keys.press("/")
    expect(console.id("search")).to_be_focused()
    keys.type("color")
    expect(console.id("count")).to_have_text(f"3 functions of {len(FUNCTIONS)}")
    focused = console.page.locator(":focus")
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    expect(focused).to_have_attribute("data-name", "set_color")
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    expect(console.id("search")).to_be_focused()
    keys.press("Escape")
    expect(console.id("count")).to_have_text(f"{len(FUNCTIONS)} functions")
    keys.type("set_user")
    keys.press("Enter")
    expect(focused).to_have_text("set_user")
    for _ in range(20):
        keys.press("Tab")
        if focused.evaluate("(one) => one.labels?.[0]?.textContent") == "name":
            break
    keys.type("A")
    keys.press("Enter")
    console.excused.append("422")
    expect(console.summary.locator("strong")).to_have_text("INVALID_ARGS")
    expect(console.field("name")).to_be_focused()
    keys.type("da")
    keys.press("Tab")
    keys.type("ada@example.com")
    keys.press("Control+Enter")
    expect(console.summary.locator("strong")).to_have_text("Result")
    expect(console.page.locator(".outcome .json")).to_contain_text("Hello Ada")


def test_the_keyboard_reaches_everything_visibly(visit, example):
    console = visit(example).open("#send_message")
    seen = []
    for _ in range(80):
        console.page.keyboard.press("Tab")
        place = console.page.evaluate(
            """() => {
                const { activeElement: one } = document;
                if (one === document.body || one.dataset.seen) return null;
                one.dataset.seen = true;
                const shown = [one, one.nextElementSibling].filter(Boolean);
                const visible = shown.some((it) => getComputedStyle(it).outlineStyle !== 'none');
                return [one.ariaLabel || one.labels?.[0]?.textContent || one.textContent.trim(), visible];
            }"""
        )
        if place is None:
            break
        seen.append(place)
    assert [name for name, visible in seen if not visible] == []
    names = [name for name, _ in seen]
    for name in ("Search functions", "room", "Raw JSON", "Call", "Copy as curl", "HTTP", "Show pushes of", "Pause"):
        assert name in names, names


def busy(console: Console) -> None:
    """Have everything on the page that can be there."""
    console.excused += ["409", "422", "net::ERR"]
    console.pick("push_time")
    console.call()
    console.pick("watch_color")
    console.call()
    expect(console.pushes.first).to_be_visible()
    console.pick("raise_error")
    console.call("ALWAYS_FAILS")
    console.pick("set_user")
    console.field("name").fill("w" * 200)
    console.call("INVALID_ARGS")
    console.page.get_by_text("Details", exact=True).click()


@pytest.mark.parametrize("width", [1440, 900, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, example, server, scheme, width):
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "bypass_csp": True}
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

    def look(console: Console, state: str) -> None:
        console.page.evaluate(AXE.read_text())
        found = console.page.evaluate("(tags) => axe.run(document, { runOnly: tags })", tags)
        shown = [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]
        assert shown == [], f"{state}: {shown}"
        assert len(found["passes"]) > 20

    console = visit(example, **options).open()
    look(console, "as it opens")
    busy(console)
    look(console, "with all that can be there")
    console = visit(server, **options).open("#order")
    console.button("Example").click()
    console.page.get_by_label("What to send for note").select_option("value")
    console.call()
    look(console, "a long form")
    console.button("Raw JSON").click()
    look(console, "raw JSON")
    console.button("Close").click()
    expect(console.id("state")).to_have_text("Closed")
    look(console, "closed")


@pytest.mark.parametrize("width", [320, 360, 781, 1181])
def test_nothing_is_wider_than_the_window(visit, server, width):
    console = visit(server, viewport={"width": width, "height": 740}).open()
    script = """() => [...document.querySelectorAll('body *')].filter((one) => {
        const { right, width } = one.getBoundingClientRect();
        return width > 1 && right > innerWidth + 0.5;
    }).map((one) => one.outerHTML.slice(0, 200))"""
    assert console.page.evaluate("document.documentElement.scrollWidth") <= width
    assert console.page.evaluate(script) == []
    console.pick("order")
    console.button("Example").click()
    console.call()
    server.call("say", {"long": "w" * 500, "topic": ["x" * 100]})
    expect(console.pushes).to_have_count(1)
    assert console.page.evaluate("document.documentElement.scrollWidth") <= width
    assert console.page.evaluate(script) == []


def test_on_a_phone_there_is_one_thing_at_a_time(visit, server):
    console = visit(server, viewport={"width": 360, "height": 740}, has_touch=True).open()
    expect(console.page.get_by_role("heading", level=1)).to_have_text("Every function, to be tried")
    console.pick("add")
    expect(console.id("nav")).to_be_hidden()
    console.field("a").fill("1")
    assert console.call() == "2"
    console.page.get_by_role("link", name="All functions").click()
    expect(console.id("nav")).to_be_visible()
    console.pick("price")


def test_landmarks_and_headings(visit, example):
    console = visit(example).open("#set_user")
    for role, count in (("banner", 1), ("main", 1), ("complementary", 1), ("navigation", 2), ("form", 1)):
        expect(console.page.get_by_role(role)).to_have_count(count)
    headings = console.page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))"
    )
    assert headings[0] == 1
    assert all(level - before <= 1 for before, level in pairwise(headings))
    expect(console.page.get_by_role("region", name="Answer").get_by_role("status")).to_have_count(1)


# ---- Where it is -----------------------------------------------------------------------------------------------------


def test_the_root_leads_there(server):
    for method in ("GET", "HEAD"):
        answer = server.http.request(method, "/")
        assert (answer.status_code, answer.headers["location"]) == (302, "/console")
    assert server.http.post("/").status_code == 404
    with server.ws("/") as ws:
        assert ws.call("add", 1) == 2


ROUTES = {
    "a route": '@app.get("/")\n    async def home(request): return text("mine")',
    "any path": '@app.get("/<path:path>")\n    async def home(request, path=""): return text("mine")',
    "files": 'app.static("/", folder, index="index.html")',
}


@pytest.mark.parametrize("kind", ROUTES)
def test_the_root_stays_the_users(serve, tmp_path, kind):
    (tmp_path / "index.html").write_text("mine")
    startup = f"from sanic.response import text\nfolder = {str(tmp_path)!r}\ndef startup(app):\n    {ROUTES[kind]}\n"
    server = serve({"one.py": "def one(): return 1", "startup.py": startup})
    assert server.http.get("/").text == "mine"
    assert "<title>isomor console" in server.http.get("/console").text
    with server.ws("/") as ws:
        assert ws.call("one") == 1


def test_a_front_end_has_the_root(serve, tmp_path):
    (tmp_path / "index.html").write_text("front end")
    server = serve({"one.py": "def one(): return 1"}, env={"ISOMOR_STATIC_FOLDER": str(tmp_path)})
    assert server.http.get("/").text == "front end"
    assert "<title>isomor console" in server.http.get("/console").text


def test_a_route_of_its_name_is_the_users(serve):
    route = "@app.get('/console')\n    async def mine(_): return text('mine')\n"
    startup = f"from sanic.response import text\ndef startup(app):\n    {route}"
    server = serve({"one.py": "def one(): return 1", "startup.py": startup})
    assert server.http.get("/console").text == "mine"
    assert "/console is a route of startup" in server.log


def test_switched_off(serve):
    server = serve({"one.py": "def one(): return 1"}, env={"ISOMOR_DOCS_ENABLED": "false"})
    for path in ("/", "/console", "/console/main.js"):
        assert server.http.get(path).status_code == 404
    with server.ws("/") as ws:
        assert ws.call("one") == 1


def test_without_the_client(visit, serve):
    """It brings the runtime along."""
    server = serve({"one.py": "async def one() -> int: return 1"}, env={"ISOMOR_CLIENT_ENABLED": "false"})
    console = visit(server).open("#one")
    assert console.call() == "1"
    console.over("WebSocket").check()
    assert console.call() == "1"


def test_its_files(server):
    page = server.http.get("/console")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page.text)
    for name in re.findall(r'(?:src|href)="/console/([^"]+)"', page.text):
        answer = server.http.get(f"/console/{name}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = server.http.get(f"/console/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    hidden = (
        "none.js",
        "tsconfig.json",
        "types.d.ts",
        "../__init__.py",
        "%2e%2e/__init__.py",
        "fields",
        "client/src/x.js",
    )
    for path in hidden:
        assert server.http.get(f"/console/{path}").status_code == 404


@pytest.mark.parametrize("path", sorted(CONSOLE.rglob("*.*")), ids=lambda path: path.name)
def test_its_modules_are_short(path: Path):
    assert len(path.read_text().splitlines()) <= 250
    assert max(map(len, path.read_text().splitlines())) <= 120
