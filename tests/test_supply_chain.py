"""What is installed is what was locked, from registries that everyone knows; and `make audit` fails when in doubt."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from harness import REPOSITORY

LOCK = tomllib.loads((REPOSITORY / "uv.lock").read_text())
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def ours(name: str) -> list[Path]:
    """The files of this name that are the repository's, not what was installed or is being generated."""
    found = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [one for one in folders if one not in ("node_modules", "isomor-client") and one[0] != "."]
        found += [Path(folder) / name] * (name in files)
    return sorted(found)


NODE_LOCKS = ours("package-lock.json")


def load_audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", REPOSITORY / "tools" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = load_audit()


# ---- Pinned and locked -------------------------------------------------------------------------------------------


def test_every_python_package_is_locked_with_hashes_from_pypi():
    assert len(LOCK["package"]) > 50
    for package in LOCK["package"]:
        if package["name"] == "isomor":
            assert package["source"] == {"editable": "."}
            continue
        assert package["source"] == {"registry": "https://pypi.org/simple"}, package["name"]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            assert file["url"].startswith("https://files.pythonhosted.org/packages/"), file
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]), file


def test_the_lock_is_of_this_pyproject():
    (ours,) = [package for package in LOCK["package"] if package["name"] == "isomor"]
    declared = [re.match(r"[\w-]+", line)[0] for line in PROJECT["project"]["dependencies"]]
    assert sorted(declared) == sorted(package["name"] for package in ours["dependencies"])


def test_what_we_depend_on_has_an_upper_bound():
    for line in PROJECT["project"]["dependencies"]:
        assert re.fullmatch(r"[\w\[\]-]+>=[\d.]+,<[\d.]+", line), line


@pytest.mark.parametrize("path", NODE_LOCKS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_npm_package_is_locked_with_its_integrity_from_npm(path):
    lock = json.loads(path.read_text())
    assert lock["lockfileVersion"] >= 2
    for name, package in lock["packages"].items():
        if not name.startswith("node_modules/") or package.get("link"):
            continue
        assert package["resolved"].startswith("https://registry.npmjs.org/"), name
        assert re.match(r"sha512-[\w+/]{86}==", package["integrity"]), name


def test_all_npm_folders_are_locked():
    assert len(NODE_LOCKS) >= 7
    with_dependencies = {
        path.parent
        for path in ours("package.json")
        if {"dependencies", "devDependencies"} & json.loads(path.read_text()).keys()
    }
    assert with_dependencies <= {path.parent for path in NODE_LOCKS}


def test_install_scripts_of_npm_packages_are_not_run():
    found = []
    for path in ("Makefile", "Dockerfile", "frontend/Dockerfile"):
        # In the Makefile the command is by way of Python, and its arguments are in the line below.
        found += re.findall(r"^.*(?:npm ci|--prefix \$\* ci)\b.*$", (REPOSITORY / path).read_text(), re.MULTILINE)
    assert len(found) == 2
    for line in found:
        assert "--ignore-scripts" in line, line


def test_images_are_named_by_version():
    found = []
    for path in ("Dockerfile", "frontend/Dockerfile", "docker-compose.yml", "deploy/kubernetes/redis.yaml"):
        found += re.findall(r"^\s*(?:FROM|image:) +(\S+)", (REPOSITORY / path).read_text(), re.MULTILINE)
    others = [image for image in found if image not in ("isomor", "isomor-demo")]
    assert len(others) >= 6
    for image in others:
        assert re.search(r":\d+(\.\d+)?(-slim)?$", image), image


# ---- make audit --------------------------------------------------------------------------------------------------


def test_a_clean_report_of_pip_audit():
    report = {"dependencies": [{"name": "A_b", "version": "1", "vulns": []}]}
    assert audit.python_faults(report, {"a-b": "1"}) == []


def test_what_pip_audit_skips_or_leaves_out_or_finds_is_a_fault():
    report = {
        "dependencies": [
            {"name": "skipped", "skip_reason": "not on PyPI"},
            {"name": "holed", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]},
        ]
    }
    assert audit.python_faults(report, {"skipped": "1", "holed": "1", "absent": "3"}) == [
        "skipped was skipped: not on PyPI",
        "holed 1: PYSEC-1, fixed in 2",
        "skipped 1 was not looked up",
        "absent 3 was not looked up",
    ]


NPM_LOCK: dict[str, Any] = {"packages": {"": {}, "node_modules/a": {}, "node_modules/b": {}, "c": {"link": True}}}


@pytest.mark.parametrize(
    ("report", "faults"),
    [
        ({"vulnerabilities": {}, "metadata": {"dependencies": {"total": 2}}}, []),
        (
            {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 1}}},
            ["1 of 2 packages were not looked up"],
        ),
        ({}, ["2 of 2 packages were not looked up"]),
        ({"message": "405", "error": {"summary": ""}}, ["the source of advisories gave no answer: 405"]),
        ({"error": {"code": "ENOTFOUND"}}, ["the source of advisories gave no answer: ENOTFOUND"]),
        (
            {
                "vulnerabilities": {
                    "a": {"range": "<2", "severity": "high", "via": [{"title": "Bad", "url": "https://x"}]},
                    "b": {"range": "*", "severity": "high", "via": ["a"]},
                },
                "metadata": {"dependencies": {"total": 2}},
            },
            ["a <2: high: Bad (https://x)", "b *: high: by way of ['a']"],
        ),
    ],
)
def test_what_npm_audit_does_not_look_up_or_finds_is_a_fault(report, faults):
    assert audit.node_faults(report, NPM_LOCK) == faults


def test_a_source_out_of_reach_fails_the_whole_command(tmp_path):
    """With tools that get no answer, as without a network: each lock file is named, and the exit code is 1."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho 'Connection refused' >&2\nexit 1\n")
    silent.chmod(0o755)
    exports = tmp_path / "uv"
    exports.write_text("#!/bin/sh\necho 'sanic==25.12.1'\n")
    exports.chmod(0o755)
    environment = {
        "PATH": "/usr/bin:/bin",
        "npm_config_registry": "http://127.0.0.1:9",
        "npm_config_fetch_retries": "0",
        "npm_config_cache": str(tmp_path / "npm"),
    }
    folders = ["client", "tests/compat"]
    command = [sys.executable, "tools/audit.py", "--uv", str(exports), "--pip-audit", str(silent), *folders]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done
    assert "uv.lock: FAILED\n  pip-audit gave no report: Connection refused" in done.stdout
    for folder in folders:
        assert f"{folder}/package-lock.json: FAILED\n  the source of advisories gave no answer: " in done.stdout
    assert "make audit: 3 of 3 lock files failed: uv.lock, client/package-lock.json, tests/compat" in done.stderr


def test_all_lock_files_are_looked_up():
    assert [folder / "package-lock.json" for folder in audit.locks()] == NODE_LOCKS


# ---- SECURITY.md -------------------------------------------------------------------------------------------------


def test_security_is_linked_and_says_what_it_must():
    text = (REPOSITORY / "SECURITY.md").read_text()
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "(SECURITY.md)" in (REPOSITORY / page).read_text(), page
    for heading in ("Supported versions", "Report a vulnerability", "What is defended", "What is yours to do"):
        assert f"## {heading}\n" in text
    for link in re.findall(r"\]\(([\w./-]+)", text):
        assert Path(REPOSITORY / link).exists(), link
