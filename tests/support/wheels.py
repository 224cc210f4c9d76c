"""The five packages as they are published: built, and installed where there is no checkout."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def uv(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run uv and return what it wrote; its complaint is the test's failure."""
    # The one beside our Python is a program, where the one on the PATH may be a script that needs
    # more of that PATH than a test leaves it.
    own = Path(sys.executable).with_name("uv")
    program = own if own.exists() else os.environ.get("UV") or shutil.which("uv")
    assert program, "uv is not on the PATH: pip install uv"
    done = subprocess.run(
        [program, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"uv {' '.join(map(str, arguments))}\n{done.stderr}"
    return done.stdout


def build_all(folder: Path) -> Path:
    """Build an sdist and a wheel of each package and return the folder they are in."""
    uv("build", "--all-packages", "--out-dir", folder)
    return folder


def bare_environment(folder: Path, wheels: Path, *extras: str) -> None:
    """Install every wheel and some extras into an environment of its own.

    What they depend on is taken in the versions of the lock, so mostly out of uv's cache.
    """
    locked = uv("export", "--locked", "--all-groups", "--no-emit-workspace", "--no-hashes", "-q")
    constraints = folder.with_suffix(".txt")
    constraints.write_text(locked, "utf-8")
    uv("venv", "--python", sys.executable, folder)
    uv(
        *("pip", "install", "--python", folder, "--constraints", constraints),
        *sorted(wheels.glob("*.whl")),
        *extras,
    )


class Installed:
    """The packages in a bare environment: no checkout, no Node."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "dist"
        self.folder = folder / "environment"
        self.programs = self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.programs / "python"


def installed(factory: pytest.TempPathFactory) -> Installed:
    """Return the installed packages, made once for all workers of a test run."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "published packages"
    folder.mkdir(exist_ok=True)
    result = Installed(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            build_all(result.wheels)
            bare_environment(result.folder, result.wheels, "langgraph", "pip")
            done.touch()
    return result
