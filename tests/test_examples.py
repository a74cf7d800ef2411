"""The functions of `api/`, which users copy from, as `make run` serves them."""

from __future__ import annotations

import pytest
from harness import REPOSITORY, CallFailed, Server


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(REPOSITORY / "api", env={"ISOMOR_WS": "push_.*"})


def cookie(response, name: str) -> tuple[str, str]:
    """A cookie that a response sets: its value, and its attributes as they came."""
    (line,) = [line for line in response.headers.get_list("Set-Cookie") if line.startswith(f"{name}=")]
    value, _, attributes = line.partition(";")
    return value.partition("=")[2], attributes.lower()


def test_all_load_without_a_fault(server):
    assert "The example is ready" in server.log
    for file in (REPOSITORY / "api").glob("[a-z]*.py"):
        assert file.stem in server.log


def test_get_uptime(server):
    first = server.call("get_uptime")
    assert 0 < first < server.call("get_uptime")


def test_push_time(server):
    with server.ws() as ws:
        ws.call("push_time")
        ws.call("push_time")
        assert [len(ws.push().split(":")) for _ in range(2)] == [3, 3]


def test_auth_is_a_cookie_that_scripts_cannot_read(server):
    assert server.call("get_auth") is None
    value, attributes = cookie(server.post("set_auth", "s3cret"), "auth")
    assert value == "s3cret"
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    assert server.call("get_auth", headers={"Cookie": "auth=s3cret"}) == "s3cret"
    assert "max-age=0" in cookie(server.post("set_auth", ""), "auth")[1]


def test_theme_is_a_cookie_that_scripts_can_read(server):
    for theme in ("light", "system", "dark"):
        value, attributes = cookie(server.post("set_theme", theme), "theme")
        assert value == theme
        assert "httponly" not in attributes
    assert server.call("get_theme") is None
    assert server.call("get_theme", headers={"Cookie": "theme=dark"}) == "dark"
    with server.ws() as ws:
        assert ws.call("get_theme") is None
        assert ws.call("get_theme", cookie="theme=dark") == "dark"
    with pytest.raises(CallFailed, match="INVALID_ARGS"):
        server.call("set_theme", "pink")


def test_a_connection_that_is_dropped(server):
    with server.ws() as ws:
        ws.send_call("drop_connection")
        assert ws.wait_closed() == 1012
    with pytest.raises(CallFailed, match="UPGRADE_REQUIRED"):
        server.call("drop_connection")


def test_a_function_has_cookies_sent(server):
    with server.ws() as ws:
        for on in (True, False):
            ws.call("use_cookies", on)
            assert ws.config() == {"withCookie": on}
    with pytest.raises(CallFailed, match="UPGRADE_REQUIRED"):
        server.call("use_cookies", True)


def test_startup_has_cookies_sent_where_it_is_told_to(server, serve):
    with server.ws() as ws:
        assert ws.call("get_cookie_default") is server.call("get_cookie_default") is False
        assert [message for message in ws.inbox if message["action"] == "CONF"] == []
    other = serve(REPOSITORY / "api", env={"WS_WITH_COOKIE": "1"})
    assert other.call("get_cookie_default") is True
    with other.ws() as ws:
        assert ws.config() == {"withCookie": True}


def test_the_container_is_the_same_by_either_transport(server):
    with server.ws() as ws:
        assert ws.call("get_container") == ws.call("join_room", "kitchen") == server.call("get_container")


@pytest.mark.parametrize("name", ["get_auth", "set_auth", "set_theme"])
def test_cookies_are_set_over_http(server, name):
    with server.ws() as ws, pytest.raises(CallFailed, match="HTTP_REQUIRED"):
        ws.call(name, *["dark"][: name.startswith("set")])


def test_color_is_shared(server):
    assert server.call("get_color").startswith("#")
    server.call("set_color", "#abcdef")
    with server.ws() as ws:
        assert ws.call("get_color") == "#abcdef"


@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "#12345g", "#123456\n", 7, None])
def test_a_color_that_is_none(server, color):
    with pytest.raises(CallFailed) as caught:
        server.call("set_color", color)
    assert caught.value.code == "INVALID_ARGS"
    assert [fault["param"] for fault in caught.value.details] == ["color"]


def test_set_user(server):
    assert "Ada" in server.call("set_user", {"name": "Ada", "email": "ada@example.com"})


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("A", "ada"),
        ("A" * 21, "ada@example"),
        ("", "a b@example.com"),
        (7, "ada@example.com\n"),
        (None, 7),
    ],
)
def test_every_fault_of_a_user_is_told(server, name, email):
    with pytest.raises(CallFailed) as caught:
        server.call("set_user", {"name": name, "email": email})
    assert caught.value.code == "INVALID_ARGS"
    assert caught.value.status == 422
    paths = [str(fault["path"]) for fault in caught.value.details]
    assert len(paths) == 2
    assert any("name" in path for path in paths)
    assert any("email" in path for path in paths)


def test_raise_error(server):
    with pytest.raises(CallFailed) as caught:
        server.call("raise_error")
    assert (caught.value.code, caught.value.status) == ("ALWAYS_FAILS", 409)
    assert caught.value.message == "This function always fails"


@pytest.mark.parametrize("name", ["_state", "startup", "User", "set_user.User", "__init__"])
def test_nothing_else_is_exposed(server, name):
    with pytest.raises(CallFailed) as caught:
        server.call(name)
    assert caught.value.code == "NOT_FOUND"


def test_the_colour_is_shown_to_all_who_watch(server):
    with server.ws() as one, server.ws() as other:
        for ws in (one, other):
            assert ws.call("watch_color") == server.call("get_color")
        server.call("set_color", "#123abc")
        assert [ws.push("color") for ws in (one, other)] == ["#123abc"] * 2
        assert server.call("get_color") == "#123abc"


def test_a_room_is_heard_by_those_in_it(server):
    with server.ws() as one, server.ws() as other:
        container = one.call("join_room", "kitchen")
        other.call("join_room", "cellar")
        server.call("send_message", "kitchen", "Ada", "hello")
        assert one.push("room:kitchen") == {"room": "kitchen", "name": "Ada", "text": "hello", "container": container}
        one.call("leave_room", "kitchen")
        server.call("send_message", "kitchen", "Ada", "anyone?")
        server.call("send_message", "cellar", "Ada", "and here?")
        assert other.push("room:cellar")["text"] == "and here?"
        one.ping()
        assert [message for message in one.inbox if message.get("topic")] == []
