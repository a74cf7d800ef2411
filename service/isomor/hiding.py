"""Hides secrets in text: settings that are shown, and lines of the log, whoever wrote them.

Text is hostile, long and cut anywhere: all of this takes time in proportion to its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

# A quote that ends a string, and does not stand in a password: of JSON, or of what Python shows.
_QUOTE: Final = r"""["'](?=[\s,:;.)\]}>]|$)"""
_IN_VALUE: Final = rf"""(?:(?!{_QUOTE})[^\s&#])"""
_PARAMETER: Final = re.compile(rf"""([?&#;])([^\s=&#?;]+)=({_IN_VALUE}+)""")
_SECRET_NAME: Final = re.compile("pass|pwd|secret|token|auth|key", re.IGNORECASE)
_FILE_NAME: Final = re.compile("(file|path)$", re.IGNORECASE)

_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|\Z)", re.DOTALL)

_USER: Final = re.compile(rf"(?:(?!{_QUOTE})[^\s:@/?#])*")
_RUN_ENDS: Final = re.compile(rf"\s|{_QUOTE}|\Z")
_PORT: Final = re.compile(r"\d{1,5}(?!\w)")

# What may stand before a secret that begins a word, though it ends in a letter or a digit: \n, \x1b, %3A, a colour.
_BEFORE: Final = (
    r"(?:(?<!\w)|(?<=\\[abfnrtv0])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2})"
    r"|(?<=[\[;]\dm)|(?<=[\[;]\d\dm)|(?<=[\[;]\d\d\dm))"
)

# A shorter one is found in texts that have nothing to do with it.
_SHORTEST: Final = 6


def hide(text: str) -> str:
    """`text` without private keys, what stands in front of hosts of URLs, and parameters that are called secret."""
    if "-----BEGIN" in text:
        text = _KEY.sub("***", text)
    if "://" in text and "@" in text:
        text = _hide_in_front_of_hosts(text)
    if "=" in text:
        text = _PARAMETER.sub(_hide_parameter, text)
    return text


def passwords_in(url: str) -> set[str]:
    """The passwords and tokens in a URL that has been read, as they are meant. A user's name is none."""
    found = set(re.findall(r"^[^:]*://[^:@/?#]*:([^/?#]*)@", url))
    found |= {match[3] for match in _PARAMETER.finditer(url) if _is_secret(match[2])}
    return {unquote(password) for password in found if password} | {password for password in found if password}


def is_weak(password: str, words: Iterable[str]) -> bool:
    """Whether it cannot be told from other text: it is short, or one of `words`, which are in small letters."""
    return len(password) < _SHORTEST or password.lower() in words


class Secrets:
    """Texts that are hidden wherever they stand as whole words, in each way in which they may be written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first: one may be a part of another.
        self._forms = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile(rf"{_BEFORE}(?:{'|'.join(map(re.escape, self._forms))})(?!\w)")

    def hide(self, text: str) -> str:
        """`text` without them, and without what `hide` finds."""
        if any(form in text for form in self._forms):
            text = self._pattern.sub("***", text)
        return hide(text)


def _forms(secret: str) -> set[str]:
    """A secret as it is, in URLs, in JSON, in what Python shows of texts, and in one of these within another."""
    forms = {secret, quote(secret, safe=""), quote(secret)}
    for _ in range(2):
        for form in list(forms):
            doubled = form.replace("\\", "\\\\")
            forms |= {doubled, doubled.replace("'", "\\'"), doubled.replace('"', '\\"')}
            forms |= {json.dumps(form)[1:-1], ascii(form)[1:-1], repr(form.encode(errors="replace"))[2:-1]}
    return forms


def _is_secret(name: str) -> bool:
    name = unquote(name)
    return bool(_SECRET_NAME.search(name)) and not _FILE_NAME.search(name)


def _hide_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}=***" if _is_secret(match[2]) else match[0]


def _hide_in_front_of_hosts(text: str) -> str:
    """`user:***@` and `***@`, where a password may hold what it should not: / ? # @, quotes and spaces.

    Where each thing ends is looked for once: a pattern would look again from every `://`.
    """
    parts, done, at, line_end, run_end, next_url = [], 0, -1, -1, -1, -1
    start = text.find("://")
    while start >= 0:
        start += len("://")
        next_url = text.find("://", start)
        user_end = _found(_USER.match(text, start)).end()
        if at < user_end:
            at = text.find("@", user_end)
        if at < 0:
            break
        if run_end < user_end:
            run_end = _found(_RUN_ENDS.search(text, user_end)).start()
        if line_end < user_end:
            line_end = text.find("\n", user_end) % (len(text) + 1)
        ends, shown_to = -1, user_end + 1
        if at == user_end > start:
            ends, shown_to = at, start  # what stands alone may be a token
        elif text.startswith(":", user_end):
            if at < run_end:
                ends = text.rfind("@", user_end, run_end)
            elif at < line_end and not 0 <= next_url < at and not _is_port(text, start, user_end):
                ends = at
        if ends >= 0:
            parts += [text[done:shown_to], "***"]
            done = ends
            next_url = text.find("://", ends) if 0 <= next_url < ends else next_url
        start = next_url
    return "".join([*parts, text[done:]])


def _is_port(text: str, start: int, user_end: int) -> bool:
    """Whether `http://host:80` is meant, and an address that follows in the text has nothing to do with it."""
    return user_end > start and bool(_PORT.match(text, user_end + 1))


def _found(match: re.Match[str] | None) -> re.Match[str]:
    assert match is not None  # of patterns that match the empty text, or its end
    return match
