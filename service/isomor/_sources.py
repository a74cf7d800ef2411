"""Where settings are written: flags, variables with their _FILE twins, isomor.env, YAML. Text and source come out.

What a text means is not known here (`_schema.py`), nor which source wins (`config.py`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from ._schema import Raw, Setting, to_raw
from .hiding import hide

# Variables of isomor 3 and of the versions before it that mean nothing here → what to do instead.
_FORMER = {
    "ISOMOR_NO_VALIDATION": "arguments are always validated, which costs little; leave a parameter without a type hint "
    "to take any value",
    "ISOMOR_STARTUP_FILE": "name the file startup.py or startup/__init__.py, in the folder of the functions",
    "ISOMOR_JSON_SCHEMA_FOLDER": "type hints are read at start; there are no schema files",
    "ISOMOR_EXTENSIONS": "functions are files that end in .py",
    "ISOMOR_FILES_PATTERN": "every .py file of the folder is a function, but for those that start with _",
    "ISOMOR_PKG_NAME": "use ISOMOR_MODULE_NAME",
    "ISOMOR_DIST_APP_FOLDER": "use ISOMOR_MODULE_FOLDER for the generated client",
    **dict.fromkeys(
        ("ISOMOR_SERVER_FOLDER", "ISOMOR_DIST_SERVER_FOLDER", "ISOMOR_DIST_FOLDER"),
        "nothing is built: the functions are served from ISOMOR_SRC_FOLDER",
    ),
    **dict.fromkeys(
        ("ISOMOR_SKIP_BUILD", "ISOMOR_SKIP_BUILD_SERVER", "ISOMOR_SKIP_COPY_SRC", "ISOMOR_NO_SERVER_IMPORT"),
        "there is no build step; remove it",
    ),
    **dict.fromkeys(("ISOMOR_NO_TYPES", "ISOMOR_NO_DECORATOR"), "nothing is transpiled; remove it"),
}

# What Kubernetes sets in every container for a Service of the name isomor, or isomor-something.
_INJECTED = re.compile(r"ISOMOR_((SERVICE|PORT)_.*|\w+_SERVICE_(HOST|PORT)(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")


_DOTENV = re.compile(
    r"""(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^'"#\s].*?)?)\s*(?:\s\#.*)?""", re.ASCII
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_NULL = "tag:yaml.org,2002:null"


class Found(NamedTuple):
    """A setting's text, and where it stands. `raw` is None where it could not be read: the fault is listed already."""

    raw: Raw | None
    source: str


class Reader:
    """Reads every source for the same settings. What is wrong with them ends in `faults` and `warnings`."""

    def __init__(self, settings: Iterable[Setting], cwd: Path) -> None:
        self.faults: list[str] = []
        self.warnings: list[str] = []
        self._cwd = cwd
        self._by_key = {setting.key: setting for setting in settings}
        self._by_variable = {name: s for s in self._by_key.values() for name in (s.variable, s.regular)}
        self._sections = {key.partition(".")[0] for key in self._by_key if "." in key}

    def read_flags(self, flags: Mapping[str, object]) -> dict[str, Found]:
        """Values of the command line by key, in; what was given, by key, out."""
        found = {}
        for key, value in flags.items():
            if key not in self._by_key:
                self._unknown("key", key, "flag --set", self._by_key)
            elif (raw := to_raw(value)) is not None:
                found[key] = Found(raw, f"flag {self._by_key[key].flag}")
        return found

    def read_variables(self, variables: Mapping[str, Found]) -> dict[str, Found]:
        """Variables that are not empty, by name, in; settings by key out."""
        given: dict[str, dict[str, Found]] = {}
        for name, (text, source) in sorted(variables.items()):
            plain = name.removesuffix("_FILE")
            if name == "ISOMOR_CONFIG" or (name.endswith("_PORT") and re.match("(tcp|udp|sctp)://", str(text))):
                continue
            if name in self._by_variable:
                given.setdefault(self._by_variable[name].key, {})[name] = Found(text, source)
            elif plain in self._by_variable:
                content = self._twin(name, str(text), source)
                given.setdefault(self._by_variable[plain].key, {})[name] = Found(content, source)
            elif name in _FORMER:
                self.warnings.append(f"{name} ({source}) is of isomor 3 and has no effect here: {_FORMER[name]}")
            elif not _INJECTED.fullmatch(name):
                self._unknown("variable", name, source, [*self._by_variable, "ISOMOR_CONFIG"])
        return {key: self._agreed(key, names) for key, names in given.items()}

    def _agreed(self, key: str, names: dict[str, Found]) -> Found:
        first = next(iter(names.values()))
        twins = any(name + "_FILE" in names for name in names)
        if not twins and len({found.raw for found in names.values()}) == 1:
            return first
        self.faults.append(f"{key}: {' and '.join(names)} are both set{'' if twins else ', and differ'}; remove one")
        return Found(None, first.source)

    def _twin(self, name: str, path: str, source: str) -> str | None:
        shown = repr(hide(path))  # someone may have written the secret itself where its file belongs
        try:
            text = (self._cwd / path).read_text("utf-8-sig").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a text file"
            self.faults.append(f"{name} = {shown} ({source}): {why}; name a readable file that holds the value")
            return None
        if not text:
            self.faults.append(f"{name} = {shown} ({source}): the file is empty; write the value into it")
        return text or None

    def read_dotenv(self) -> dict[str, Found]:
        """isomor.env: NAME=value lines, with comments, `export` and quotes; nothing is expanded. Variables by name."""
        found: dict[str, Found] = {}
        path = self._cwd / "isomor.env"
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except FileNotFoundError:
            return found
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            self.faults.append(f"isomor.env cannot be read: {why}; mend it, or remove it")
            return found
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith("#"):
                continue
            match = _DOTENV.fullmatch(line)
            if not match:  # the line stays out of the fault, for it may hold a secret
                self.faults.append(f"isomor.env line {number}: not NAME=value; quote a value with quotes or a # in it")
                continue
            name, single, double, bare = match.groups()
            if double is not None:
                double = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), double)
            text = single or double or bare or ""
            found.pop(name, None)  # the last one counts, as in a shell
            if name.startswith("ISOMOR_") and text.strip():
                found[name] = Found(text, f"isomor.env line {number}")
        return found

    def read_yaml(self, chosen: Found | None) -> dict[str, Found] | None:
        """The file that ISOMOR_CONFIG chose, else config/isomor.yaml. Settings by key; None where it cannot be read."""
        path = str(chosen.raw) if chosen else "config/isomor.yaml"
        label = hide(path)
        whose = f"{label} ({chosen.source})" if chosen else label
        try:
            root = yaml.compose((self._cwd / path).read_text("utf-8-sig"), yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            # What follows these words is text of the file, which may be a secret.
            why = re.sub(r"(alias|anchor|tag handle) .*", r"\1", error.problem or error.context or "")
            self.faults.append(f"{label} line {line}: not YAML: {why}; correct the line, or quote the value")
        except OSError as error:
            if not chosen and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                return {}
            self.faults.append(f"{whose} cannot be read: {error.strerror}; correct the path, or make it readable")
        except (ValueError, OverflowError, RecursionError, yaml.YAMLError):
            self.faults.append(f"{whose} cannot be read: not UTF-8, or what YAML does not allow; save it as plain YAML")
        else:
            found: dict[str, Found] = {}
            if root is not None:
                self._walk(root, "", label, found)
            return {key: one for key, one in found.items() if one.raw != ""}
        return None

    def _walk(self, node: yaml.Node, prefix: str, label: str, found: dict[str, Found]) -> None:
        # Nodes, not values: they know their lines, and a value stays as it was written (no is not False, 1.10 not 1.1).
        if not isinstance(node, yaml.MappingNode):
            if node.tag != _NULL:
                what = prefix.rstrip(".") or "the file"
                self.faults.append(f"{what} ({label} line {node.start_mark.line + 1}) is no mapping; write key: value")
            return
        seen = set()
        for key_node, value in node.value:
            source = f"{label} line {key_node.start_mark.line + 1}"
            key = prefix + str(key_node.value)
            if key in seen:
                self.faults.append(f"{key} ({source}) is given twice; remove one")
            seen.add(key)
            if key in self._sections:
                self._walk(value, key + ".", label, found)
            elif key not in self._by_key:
                self._unknown("key", key, source, self._by_key)
            elif isinstance(value, yaml.ScalarNode):
                found[key] = Found("" if value.tag == _NULL else value.value, source)
            elif isinstance(value, yaml.SequenceNode) and all(
                isinstance(item, yaml.ScalarNode) for item in value.value
            ):
                found[key] = Found(tuple(item.value for item in value.value), source)
            else:
                self.faults.append(
                    f"{key} ({source}) holds keys or lists where a value is expected; write {key}: value"
                )
                found[key] = Found(None, source)

    def _unknown(self, what: str, name: str, source: str, names: Iterable[str]) -> None:
        names = list(names)
        same_end = [known for known in names if known.endswith("." + name.rpartition(".")[2])]
        close = same_end[:1] or difflib.get_close_matches(name, names, 1)
        fix = f"did you mean {close[0]}?" if close else "remove it; docs/configuration.md lists all"
        self.faults.append(f"{what} {hide(name)!r} ({source}) is unknown: {fix}")
