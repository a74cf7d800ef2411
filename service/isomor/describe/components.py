"""Classes by name: what the schemas of a document share, as `#/components/schemas/<name>`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from ..client.shapes import Way

PREFIX: Final = "#/components/schemas/"


class Component:
    """A class, read for one direction. It stands in schemas as it is, `{"$ref": component}`, until it has a name.

    Attributes:
        of: what it was read of: the same for both directions of one class.
        label: the name that it would like to have.
        module: where the class comes from, to tell it from another of the same label.
        way: for arguments or for results; None: for both.
        body: its schema; set when it has been read.
        stands_for: the component that this one has turned out to be.
    """

    def __init__(self, of: Any, label: str, module: str, way: Way | None) -> None:
        self.of = of
        self.label = label
        self.module = module
        self.way = way
        self.body: dict[str, Any] = {}
        self.stands_for: Component | None = None


class Components:
    """All that the schemas of one document refer to."""

    def __init__(self) -> None:
        self._by_key: dict[Any, Component] = {}

    def get(self, of: Any, way: Way | None, label: str, module: str) -> tuple[Component, bool]:
        """The component of this class and direction, and whether it is new, so that its body is to be read."""
        key = (of, way)
        if key in self._by_key:
            return self._by_key[key], False
        made = self._by_key[key] = Component(of, label, module, way)
        return made, True

    def finish(
        self, document: dict[str, Any], taken: dict[str, Any], translate: Callable[[Any], Any] | None = None
    ) -> bytes:
        """The document as JSON: with names in place of components, and with the bodies of all that it refers to.

        Args:
            document: what is to be told; `components` in it are a dict.
            taken: schemas with names of their own, which no class may have.
            translate: what is done to every schema of the components.
        """
        names = self._names(set(taken))
        bodies = taken | {name: component.body for component, name in names.items()}
        schemas = {name: translate(bodies[name]) if translate else bodies[name] for name in sorted(bodies)}
        whole = document | {"components": document.get("components", {}) | {"schemas": schemas}}
        return msgspec.json.encode(whole, enc_hook=lambda component: PREFIX + names[component.stands_for or component])

    def _names(self, taken: set[str]) -> dict[Component, str]:
        """A name for each; both directions of a class have the same where they are the same."""
        same = self._same_both_ways()
        both = {(component.of, component.way) for component in self}
        wanted: dict[str, dict[bytes, list[Component]]] = {}
        for component in self:
            differs = component.way == "in" and component.of not in same and (component.of, "out") in both
            suffix = "Input" if differs else ""
            claims = wanted.setdefault(_plain(component.label) + suffix, {})
            claims.setdefault(_text(component, same), []).append(component)
        names: dict[Component, str] = {}
        used = set(taken)
        for label, claims in sorted(wanted.items()):
            clash = len(claims) > 1 or label in taken
            for group in sorted(claims.values(), key=lambda group: (group[0].module, repr(group[0].of))):
                name = base = _plain(f"{group[0].module}.{label}".lstrip(".")) if clash else label
                count = 1
                while name in used:
                    count += 1
                    name = f"{base}{count}"
                used.add(name)
                names |= dict.fromkeys(group, name)
        return names

    def _same_both_ways(self) -> set[Any]:
        """The classes that look the same as an argument and as a result, and so does all that they refer to."""
        found = {(component.of, component.way): component for component in self}
        same = {of for of, way in found if way == "in" and (of, "out") in found}
        while differing := {of for of in same if _text(found[of, "in"], same) != _text(found[of, "out"], same)}:
            same -= differing
        return same

    def __iter__(self) -> Iterator[Component]:
        return (component for component in self._by_key.values() if component.stands_for is None)


def _text(component: Component, same: set[Any]) -> bytes:
    """The body in bytes: equal where the schemas are. `same` are the classes whose direction makes no difference."""

    def token(other: Component) -> str:
        other = other.stands_for or other
        return str(id(other.of)) if other.of in same else f"{id(other.of)} {other.way}"

    return msgspec.json.encode(component.body, enc_hook=token, order="deterministic")


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
