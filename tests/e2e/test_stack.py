"""The stack of docker-compose.yml in a browser: pages on different containers, and containers that come and go."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from engine import BUILDING, PATIENCE, Stack, docker, write_wheel
from harness import wait_until, write_files
from playwright.sync_api import Browser, Locator, expect
from visitor import Visitor

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        stack.compose("build", "--quiet", timeout=BUILDING)
        stack.compose("up", "--detach", "--scale", "service=1")
        yield stack


class Guest(Visitor):
    """Someone with the demo's page open."""

    schemes = ("data:",)

    def __init__(self, browser: Browser, url: str) -> None:
        super().__init__(browser, url)
        self.excused.append("Failed to load resource")  # what fails, and containers that go, are part of it
        self.excused.append("WebSocket connection to")
        self.page.goto(url)
        expect(self("connection-state")).to_have_text("Open")

    def __call__(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def container(self) -> str:
        """Which one serves its WebSocket."""
        expect(self("connection-container")).to_have_text(re.compile("[0-9a-f]{12}"))
        return self("connection-container").inner_text()

    def say(self, text: str) -> None:
        self("chat").get_by_label("Message", exact=True).fill(text)
        self("chat").get_by_role("button", name="Send").click()
        expect(self("chat").get_by_label("Message", exact=True)).to_have_value("")


Visit = Callable[[], Guest]


@pytest.fixture
def visit(stack: Stack, browser: Browser) -> Iterator[Visit]:
    visitors: list[Guest] = []

    def visit() -> Guest:
        visitors.append(Guest(browser, stack.url))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def apart(visit: Visit) -> tuple[Guest, Guest]:
    """Two visitors whom different containers serve."""
    one = visit()
    for _ in range(30):
        other = visit()
        if other.container != one.container:
            return one, other
        other.context.close()
    raise AssertionError("all connections go to one container")


def who_answers(stack: Stack, calls: int) -> set[str]:
    """The containers that answer so many HTTP calls."""
    answers = (httpx.post(f"{stack.url}/isomor/api/get_container", trust_env=False, timeout=30) for _ in range(calls))
    return {answer.json()["result"] for answer in answers}


def test_a_folder_of_ones_own(stack, tmp_path):
    """Mounted by the variable that names it anywhere; its requirements are installed once for all containers."""
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    write_files(
        tmp_path / "api",
        {
            "greet.py": "from e2e_greeting import WORD\nasync def greet() -> str: return WORD",
            "requirements.txt": "--no-index\n--find-links _wheels\ne2e-greeting\n",
        },
    )
    write_wheel(tmp_path / "api/_wheels", "e2e_greeting", "1.0", "WORD = 'hello'\n")
    with Stack({"ISOMOR_SRC_FOLDER": str(tmp_path / "api")}) as mine:
        mine.compose("up", "--detach", "service")
        containers = wait_until(lambda: mine.containers("service"), "the containers")
        assert len(containers) == 2
        for container in containers:
            ready = lambda c=container: docker("exec", c, "isomor", "health", check=False) == "ready"  # noqa: E731
            wait_until(ready, "the container to be ready", PATIENCE)
            assert docker("exec", container, "isomor", "call", "greet") == '"hello"'
        logs = [docker("logs", container) for container in containers]
        assert sum("installing /app/api/requirements.txt" in log for log in logs) == 1


# In this order: the stack is started with one container, and all later tests have three.


def test_scaling_is_picked_up(stack):
    assert who_answers(stack, 20) == set(stack.wait_healthy(1))
    stack.compose("up", "--detach", "--scale", "service=3")
    three = set(stack.wait_healthy(3))
    assert len(three) == 3
    wait_until(lambda: who_answers(stack, 20) == three, "all three to be asked", 60)


def test_only_the_front_end_is_published(stack):
    listed = docker("ps", "--filter", f"label=com.docker.compose.project={stack.project}", "--format", "{{.Ports}}")
    published = re.findall(r":(\d+)->(\d+)/tcp", listed)
    assert set(published) == {(str(stack.port), "8080")}


def test_the_front_end_keeps_to_itself_what_is_none_of_the_browsers_business(stack):
    for path in ("/metrics", "/health/ready", "/isomor/../metrics"):
        answer = httpx.get(stack.url + path, trust_env=False)
        assert answer.status_code == 404
    answer = httpx.get(f"{stack.url}/", trust_env=False)
    assert "nginx/" not in answer.headers["server"]
    assert answer.headers["cache-control"] == "no-cache"
    (asset,) = re.findall(r'src="(/assets/[^"]+\.js)"', answer.text)
    kept = httpx.get(stack.url + asset, trust_env=False, headers={"accept-encoding": "gzip"})
    assert kept.headers["cache-control"] == "max-age=31536000"
    assert kept.headers["content-encoding"] == "gzip"


def test_colour_and_chat_cross_containers(apart):
    one, other = apart
    for name, color in {"Plum": "#6d3b8e", "Amber": "#f2b134"}.items():
        one.button(name).click()
        for visitor in apart:
            expect(visitor("color-value")).to_have_text(color)
    for visitor in apart:
        visitor.button("Join").click()
        expect(visitor("chat-served")).to_have_text(f"Served by {visitor.container}")
    one.say("hello from the one")
    other.say("hello from the other")
    for visitor in apart:
        expect(visitor("message")).to_have_count(2)
        expect(visitor("messages")).to_contain_text("hello from the one")
        expect(visitor("messages")).to_contain_text("hello from the other")


def test_the_time_is_pushed_and_the_uptime_called(visit):
    visitor = visit()
    for card in ("clock-value", "uptime-value"):
        for _ in range(2):
            before = visitor(card).inner_text()
            expect(visitor(card)).not_to_have_text(before)


def test_cookies(visit):
    visitor = visit()
    visitor("sign-in").get_by_label("Token").fill("ada-7")
    visitor.button("Sign in").click()
    expect(visitor("auth-value")).to_have_text("ada-7")
    expect(visitor("auth-script")).to_have_text("nothing of it")
    visitor.page.get_by_role("radio", name="Dark").check()
    for way in ("In this page", "By a function"):
        expect(visitor("ws-theme")).to_have_text("nothing")
        switch = visitor.page.get_by_role("group", name=way)
        switch.get_by_role("button", name="On").click()
        expect(visitor("ws-theme")).to_have_text("dark")
        switch.get_by_role("button", name="Off").click()
    expect(visitor("ws-theme")).to_have_text("nothing")


def test_faults_of_the_form_and_errors_are_shown(visit):
    visitor = visit()
    form = visitor("user-form")
    form.get_by_label("Name").fill("A")
    form.get_by_role("button", name="Send").click()
    for label in ("Name", "E-mail"):
        expect(form.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Name")).to_have_accessible_description(re.compile("At least 2 characters"))
    form.get_by_label("Name").fill("Ada")
    form.get_by_label("E-mail").fill("ada@example.com")
    form.get_by_role("button", name="Send").click()
    expect(visitor("user-answer")).to_contain_text("Hello Ada")
    visitor.button("Call what fails").click()
    expect(visitor("failure").get_by_test_id("error-code")).to_have_text("ALWAYS_FAILS")


def test_a_dropped_connection_comes_back(visit):
    visitor = visit()
    visitor.button("Drop it").click()
    expect(visitor("connection-reconnects")).to_have_text("1")
    expect(visitor("connection-state")).to_have_text("Open")


def test_the_npm_client_of_isomor_3_finds_its_websocket(stack):
    from websockets.sync.client import connect

    with connect(f"ws://localhost:{stack.port}/", proxy=None, origin=stack.url) as socket:
        socket.send('{"action":"API","id":1,"urlPath":"/isomor/api/get_container","args":[]}')
        assert '"API_RES"' in socket.recv(timeout=30)


def test_a_killed_container_is_left_for_another(stack, apart):
    one, other = apart
    for visitor in apart:
        visitor.button("Join").click()
        expect(visitor("chat-served")).to_have_text(f"Served by {visitor.container}")
    dead = one.container
    docker("kill", dead)
    began = time.monotonic()
    # The page's own promise, and so a limit: within 10 s it is connected again, elsewhere.
    expect(one("connection-reconnects")).not_to_have_text("0", timeout=10_000)
    expect(one("connection-state")).to_have_text("Open", timeout=max(1, 10_000 - (time.monotonic() - began) * 1000))
    assert one.container in set(stack.containers("service")) - {dead}
    other.button("Brick").click()
    expect(one("color-value")).to_have_text("#b5452f")
    before = one("clock-value").inner_text()
    expect(one("clock-value")).not_to_have_text(before)
    other.say("still there?")
    expect(one("messages")).to_contain_text("still there?")
    one.say("yes")
    expect(other("messages")).to_contain_text("yes")
    docker("start", dead)
    stack.wait_healthy(3)


class Load(threading.Thread):
    """HTTP calls through the front end, 50 in a second, until it is told to end."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = f"{url}/isomor/api/get_container"
        self.seen: set[str] = set()
        self.count = 0
        self.failures: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            due = time.monotonic()
            while not self.done.is_set():
                self.count += 1
                try:
                    answer = client.post(self.url, json={"args": []})
                    if answer.status_code == 200:
                        self.seen.add(answer.json()["result"])
                    else:
                        self.failures.append(f"{answer.status_code} {answer.text}")
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                due = max(due + 0.02, time.monotonic() - 1)  # a slow answer is made up for
                self.done.wait(max(0.0, due - time.monotonic()))


def test_a_rolling_restart_fails_no_call(stack, visit):
    visitor = visit()
    load = Load(stack.url)
    load.start()
    try:
        for container in stack.containers("service"):
            before = state(container)["StartedAt"]
            docker("restart", "--time", "30", container)
            assert state(container)["StartedAt"] != before
            stack.wait_healthy(3)
        restarted = set(stack.containers("service"))
        load.seen.clear()
        wait_until(lambda: load.seen == restarted, "all that were restarted to be asked again", 60)
    finally:
        load.done.set()
        load.join()
    assert load.failures == []
    assert load.count > 50 * 3
    expect(visitor("connection-state")).to_have_text("Open")
    visitor.button("Sky").click()
    expect(visitor("color-value")).to_have_text("#7cc4f8")


def state(container: str) -> dict[str, Any]:
    import json

    return json.loads(docker("inspect", "--format", "{{json .State}}", container))


def test_a_stopped_service_exits_0(stack):
    (container, *_) = stack.containers("service")
    docker("stop", "--time", "30", container)
    assert state(container)["ExitCode"] == 0
    docker("start", container)
    stack.wait_healthy(3)


def test_redis_away_and_back(stack, visit):
    """Calls go on without it, and pushes when it is there again."""
    visitor = visit()
    (redis,) = stack.containers("redis")
    docker("restart", redis)
    assert len(who_answers(stack, 20)) == 3
    for container in stack.containers("service"):
        wait_until(lambda c=container: docker("exec", c, "isomor", "health", check=False) == "ready", "the bus", 60)
    visitor.button("Plum").click()
    expect(visitor("color-value")).to_have_text("#6d3b8e")


def test_while_the_service_is_away_the_page_says_so(stack, visit):
    visitor = visit()
    containers = stack.containers("service")
    docker("stop", "--time", "30", *containers)
    answer = httpx.post(f"{stack.url}/isomor/api/get_uptime", trust_env=False, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    expect(visitor("away")).to_be_visible()
    docker("start", *containers)
    stack.wait_healthy(3)
    expect(visitor("connection-state")).to_have_text("Open")
    expect(visitor("away")).to_be_hidden()


def test_cookies_by_the_server_for_everyone(stack, visit):
    stack.compose("up", "--detach", "--scale", "service=3", WS_WITH_COOKIE="1")
    stack.wait_healthy(3)
    wait_until(lambda: len(who_answers(stack, 20)) == 3, "all three to be asked", 60)
    visitor = visit()
    expect(visitor("ws-default")).to_have_text("On")
    expect(visitor("ws-theme")).to_have_text("nothing")
    visitor.page.get_by_role("radio", name="Dark").check()
    expect(visitor("ws-theme")).to_have_text("dark")


def test_down_leaves_nothing(stack):
    stack.compose("down", "--timeout", "30")
    left = stack.leftovers()
    assert (left["containers"], left["networks"]) == ([], [])
    # Only what pip has installed is kept for the next time, unless one says otherwise.
    assert left["volumes"] == [f"{stack.project}_packages"]
    stack.compose("down", "--volumes")
    assert stack.leftovers() == {"containers": [], "networks": [], "volumes": []}
