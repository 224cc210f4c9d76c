import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agenttrace_server import ui_build
from support.command import path_without

BUILD = """
const fs = require('fs')
const out = process.argv.find((a) => a.startsWith('--outDir=')).slice('--outDir='.length)
fs.rmSync(out, { recursive: true, force: true })
fs.mkdirSync(out + '/assets', { recursive: true })
fs.copyFileSync('src/page.html', out + '/index.html')
"""


@pytest.fixture
def ui(tmp_path: Path) -> Path:
    """A UI of one page without dependencies: real npm, real build, no network."""
    folder = tmp_path / "a checkout" / "ui"
    (folder / "src").mkdir(parents=True)
    package = {"name": "page", "version": "1.0.0", "scripts": {"build": "node build.cjs"}}
    lock = {"name": "page", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": package}}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / "build.cjs").write_text(BUILD)
    (folder / "src" / "page.html").write_text("<p>one</p>")
    return folder


def test_a_build_is_current_until_a_source_changes(ui: Path, tmp_path: Path) -> None:
    static = tmp_path / "package" / "static"
    told: list[str] = []

    ui_build.build(ui, static, say=told.append, output=subprocess.DEVNULL)
    built = ui_build.is_current(ui, static)
    (ui / "src" / "page.html").write_text("<p>two</p>")
    changed = ui_build.is_current(ui, static)
    ui_build.build(ui, static, say=told.append, output=subprocess.DEVNULL)

    assert built
    assert not changed
    assert ui_build.is_current(ui, static)
    assert (static / "index.html").read_text() == "<p>two</p>"
    assert [line for line in told if "npm run build" in line]
    assert sorted(path.name for path in static.parent.iterdir()) == ["static"]


def test_tests_and_installed_packages_are_no_sources(ui: Path) -> None:
    before = ui_build.source_hash(ui)
    (ui / "node_modules" / "x").mkdir(parents=True)
    (ui / "node_modules" / "x" / "index.js").write_text("1")
    (ui / "src" / "page.test.ts").write_text("1")

    after = ui_build.source_hash(ui)

    assert before == after


def test_a_failed_build_leaves_the_old_one_in_place(ui: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    ui_build.build(ui, static, say=lambda _: None, output=subprocess.DEVNULL)
    (ui / "build.cjs").write_text("process.exit(3)")

    with pytest.raises(ui_build.UIBuildError, match=r"npm run build.* failed .*exit code 3"):
        ui_build.build(ui, static, say=lambda _: None, output=subprocess.DEVNULL)

    assert (static / "index.html").read_text() == "<p>one</p>"


def test_two_builds_at_a_time_end_with_one_good_result(ui: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    program = (
        "import sys; from pathlib import Path; from agenttrace_server import ui_build; "
        "ui_build.build(Path(sys.argv[1]), Path(sys.argv[2]), say=print, output=sys.stderr)"
    )

    builds = [
        subprocess.Popen([sys.executable, "-c", program, str(ui), str(static)]) for _ in range(3)
    ]

    assert [build.wait(120) for build in builds] == [0, 0, 0]
    assert ui_build.is_current(ui, static)


def test_a_missing_node_is_told_with_what_to_install(
    ui: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without("node", "npm", folder=tmp_path / "bin"))

    with pytest.raises(ui_build.UIBuildError, match=r"Node.js is not on the PATH: install Node"):
        ui_build.build(ui, tmp_path / "static", say=lambda _: None)


def test_an_old_node_is_told_with_what_to_install(
    ui: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "node").write_text("#!/bin/sh\necho v18.20.4\n")
    (old / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{old}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(ui_build.UIBuildError, match=r"v18.20.4 is too old: install Node"):
        ui_build.build(ui, tmp_path / "static", say=lambda _: None)


def test_the_checkout_of_this_test_knows_its_ui() -> None:
    folder = ui_build.source_folder()

    assert folder == Path(__file__).resolve().parents[2] / "ui"
