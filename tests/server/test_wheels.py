"""The published packages where there is neither a checkout nor Node."""

import subprocess
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from support.command import Home
from support.wheels import Installed, installed, uv

PACKAGES = {
    "agenttrace_core": "agenttrace/hookspecs.py",
    "agenttrace_langgraph": "agenttrace_langgraph/capture.py",
    "agenttrace_autogen": "agenttrace_autogen/capture.py",
    "agenttrace_crewai": "agenttrace_crewai/capture.py",
    "agenttrace_server": "agenttrace_server/app.py",
}
SERVER_BRINGS = (
    "agenttrace_server/static/index.html",
    "agenttrace_server/migrations/env.py",
    "agenttrace_server/demo/research_team.py",
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return installed(tmp_path_factory)


@pytest.fixture
def home(packages: Installed, tmp_path: Path) -> Home:
    """A home where only the installed programs are on the PATH: no Node, no uv, no checkout."""
    return Home(tmp_path / "home", packages.python)


@pytest.mark.parametrize(("package", "file"), PACKAGES.items())
def test_each_package_has_a_wheel_and_an_sdist_with_its_licence(
    packages: Installed, package: str, file: str
) -> None:
    wheel, sdist = names(packages.wheels, package)

    assert file in wheel
    assert any(name.endswith(f"/{file}") for name in sdist)
    assert any(name.endswith("py.typed") for name in wheel)
    assert any(name.endswith("LICENSE") for name in wheel)
    assert not [name for name in wheel if "__pycache__" in name or name.startswith("tests")]


def test_the_server_brings_its_pages_its_migrations_and_the_demo(packages: Installed) -> None:
    wheel, sdist = names(packages.wheels, "agenttrace_server")

    for file in SERVER_BRINGS:
        assert file in wheel
        assert any(name.endswith(f"/{file}") for name in sdist)
    assert any(name.startswith("agenttrace_server/static/assets/") for name in wheel)
    assert any(name.startswith("agenttrace_server/migrations/versions/") for name in wheel)
    assert len(wheel) == len(set(wheel))


def test_the_installed_command_works_outside_a_checkout(packages: Installed, home: Home) -> None:
    command = packages.programs / "agenttrace"
    environment = home.environment(PATH=str(packages.programs))

    done = subprocess.run([command, "--help"], env=environment, capture_output=True, text=True)
    plugins = home.run("plugins", "--format", "json", PATH=str(packages.programs))

    assert done.returncode == 0
    assert "demo" in done.stdout
    names = {info["name"] for info in plugins.json if info["error"] is None}
    assert {"langgraph", "autogen", "crewai", "mast"} <= names


def test_the_installed_server_shows_its_pages_without_node(packages: Installed, home: Home) -> None:
    with (
        home.serving(PATH=str(packages.programs), AGENTTRACE_BUILD_UI="1") as server,
        urllib.request.urlopen(server.url) as answer,
    ):
        page = answer.read().decode()

    assert 'type="module"' in page


def test_the_installed_demo_runs_without_node(packages: Installed, home: Home) -> None:
    done = home.run("demo", "--once", PATH=str(packages.programs), AGENTTRACE_BUILD_UI="1")

    assert done.code == 0, done.err
    assert done.json["agents"] >= 3
    assert done.says(r"Running .*agenttrace_server/demo/research_team.py")


def test_a_framework_that_is_not_installed_is_told_with_what_to_install(home: Home) -> None:
    done = home.run("demo", "--once", "--framework", "crewai")

    assert done.code == 1
    assert done.says("error: .*crewai")
    assert len(done.err.strip().splitlines()) == 1


def test_an_sdist_makes_a_wheel_without_node_and_without_the_checkout(
    packages: Installed, tmp_path: Path
) -> None:
    unpacked = unpack(packages, tmp_path)

    uv("build", "--wheel", "--out-dir", tmp_path, cwd=unpacked, PATH=str(packages.programs))

    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert set(SERVER_BRINGS) <= set(wheel)


def test_a_server_without_pages_can_be_built(packages: Installed, tmp_path: Path) -> None:
    unpacked = unpack(packages, tmp_path)

    uv("build", "--wheel", "--out-dir", tmp_path, cwd=unpacked, AGENTTRACE_BUILD_UI="0")

    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert not [name for name in wheel if name.startswith("agenttrace_server/static")]
    assert "agenttrace_server/migrations/env.py" in wheel


def names(wheels: Path, package: str) -> tuple[list[str], list[str]]:
    """What is in the wheel and in the sdist of a package."""
    with tarfile.open(next(wheels.glob(f"{package}-*.tar.gz"))) as sdist:
        return zipfile.ZipFile(next(wheels.glob(f"{package}-*.whl"))).namelist(), sdist.getnames()


def unpack(packages: Installed, folder: Path) -> Path:
    """Unpack the server's sdist and return its folder."""
    with tarfile.open(next(packages.wheels.glob("agenttrace_server-*.tar.gz"))) as sdist:
        sdist.extractall(folder, filter="data")
    return next(folder.glob("agenttrace_server-*"))
