"""Someone with a page of ours open, in a browser of their own."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext


class Visitor:
    """A page, and what it complains about and where its requests go, which is looked at in the end.

    Attributes:
        url: the site that it may ask; no other.
        excused: parts of complaints that the test provokes, such as a status that Chromium logs.
        schemes: what it may load beside that site, such as `data:`.
    """

    schemes: tuple[str, ...] = ()

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context: BrowserContext = browser.new_context(reduced_motion="reduce", **options)
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.excused: list[str] = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda ws: self.requests.append(ws.url.replace("ws", "http", 1)))

    def close(self) -> None:
        """Close it.

        Raises:
            AssertionError: if it has complained, asked nobody, or asked somebody else.
        """
        self.context.close()
        assert [fault for fault in self.faults if not any(text in fault for text in self.excused)] == []
        assert self.requests
        assert [url for url in self.requests if not url.startswith((f"{self.url}/", *self.schemes))] == []
