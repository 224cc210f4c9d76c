"""The one door for developers: `uv run nox -s test`, `nox -l` for the rest."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nox

ROOT = Path(__file__).parent
UI = ROOT / "ui"
TREE = ROOT / ".nox" / "trixie"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WANT_RUNS = {"classification.py", "from_whowhen.py", "labelled.py", "train_decisive.py"}
PACKAGES = sorted(path.parent.name for path in ROOT.glob("agenttrace-*/pyproject.toml"))

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "test"]
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True


@nox.session
def test(session: nox.Session) -> None:
    """Everything: the UI's unit tests, then pytest over all packages and the browser."""
    _sync(session, "--all-groups", "--all-extras")
    _system_packages(session)
    _timescale(session)
    _built_ui(session)
    if not session.posargs:
        _npm(session, "test")
    session.run(
        "pytest", *(session.posargs or ("-n", "2", "--dist", "worksteal")), env=_offline(session)
    )


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, the import rules, and the documents that are generated or must agree with the code."""
    _sync(session, "--group", "lint", "--group", "test")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")
    session.run("pytest", "-q", "tests/docs", env=_offline(session))


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over every package."""
    _sync(session, "--all-groups", "--all-extras")
    for package in PACKAGES:
        session.run("mypy", str(next((ROOT / package).glob("agenttrace*/__init__.py")).parent))
    session.run("mypy", "noxfile.py", "agenttrace-server/hatch_build.py", "docs", "benchmarks")


@nox.session(venv_backend="none")
def ui(session: nox.Session) -> None:
    """The UI on its own: locked packages, lint, types, unit tests, build."""
    _npm(session, "ci", "--no-audit", "--no-fund")
    for script in ("lint", "typecheck", "test", "build"):
        _npm(session, "run", script)


@nox.session
def e2e(session: nox.Session) -> None:
    """Only the browser tests."""
    _sync(session, "--all-groups", "--all-extras")
    _system_packages(session)
    _built_ui(session)
    session.run("pytest", "tests/e2e", *session.posargs, env=_offline(session))


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark: JSON lines on standard output, then a table. Fails if a target is missed.

    Those about failures want labelled runs: nox -s bench -- benchmarks/classification.py DIR
    """
    _sync(session, "--all-groups", "--all-extras")
    _timescale(session)
    scripts = [str(p) for p in sorted(ROOT.glob("benchmarks/*.py")) if _is_benchmark(p)]
    results: list[dict[str, object]] = []
    for command in [session.posargs] if session.posargs else [[script] for script in scripts]:
        session.log(f"python {' '.join(command)}")
        done = subprocess.run(
            [Path(session.bin, "python"), *command],
            cwd=ROOT,
            env={**os.environ, **_offline(session)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        sys.stdout.write(done.stdout)
        figures = list(_figures(done.stdout))
        results += figures
        if done.returncode and all(figure.get("ok", True) for figure in figures):
            session.warn(f"{command[0]} ended with exit code {done.returncode}")
            results.append({"name": command[0], "ok": False})
    sys.stdout.write("\n" + _table(results) + "\n")
    if not all(result.get("ok", True) for result in results):
        session.error("a figure misses its target")


@nox.session
def docs(session: nox.Session) -> None:
    """Write the derived documents anew: the API reference, the table of settings."""
    _sync(session)
    session.run("python", "docs/make_reference.py")


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the pictures in docs/images anew, from the demo."""
    _sync(session, "--all-groups", "--all-extras")
    _system_packages(session)
    _built_ui(session)
    session.run("python", "docs/screenshots.py", env=_offline(session))


@nox.session(venv_backend="none")
def build(session: nox.Session) -> None:
    """A wheel and an sdist of each package in dist/, the server's with the UI in it."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run(_uv(), "build", "--all-packages", external=True)
    wheels = [path.name for path in (ROOT / "dist").glob("*.whl")]
    if len(wheels) != len(PACKAGES):
        session.error(f"{len(PACKAGES)} packages, but these wheels: {wheels}")


def _uv() -> str:
    """The uv that runs us: `uv run` names it in the environment."""
    return os.environ.get("UV") or "uv"


def _sync(session: nox.Session, *what: str) -> None:
    """Install the workspace, exactly as locked, into the session's own environment."""
    session.run_install(
        _uv(),
        "sync",
        "--locked",
        "--no-default-groups",
        "--all-packages",
        # Each server that a test or a benchmark starts would compile everything anew where the
        # environment says PYTHONDONTWRITEBYTECODE, as images of Python do.
        "--compile-bytecode",
        *what,
        f"--python={session.virtualenv.location}",
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        external=True,
    )


def _offline(session: nox.Session) -> dict[str, str]:
    """No test phones home, and none reads or writes the developer's own traces."""
    return {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_DISABLE_VERSION_CHECK": "true",
        "CREWAI_TESTING": "true",
        "LANGSMITH_TRACING": "false",
        "ANONYMIZED_TELEMETRY": "false",
        "CREWAI_STORAGE_DIR": str(Path(session.create_tmp(), "crewai")),
        "AGENTTRACE_DATA_DIR": str(Path(session.create_tmp(), "agenttrace")),
        "AGENTTRACE_TEST_TREE": os.environ.get("AGENTTRACE_TEST_TREE", str(TREE)),
    }


def _npm(session: nox.Session, *arguments: str) -> None:
    session.run("npm", "--prefix", str(UI), *arguments, external=True)


def _system_packages(session: nox.Session) -> None:
    """A browser and a PostgreSQL: found, or installed where this is Debian and we are root."""
    missing = [] if any(map(shutil.which, CHROMIUM)) else ["chromium"]
    if not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))):
        missing.append("postgresql")
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run_install("apt-get", "update", external=True, env=quiet)
        session.run_install(*install, external=True, env=quiet)
        return
    how = f"sudo {' '.join(install)}" if shutil.which("apt-get") else "install it"
    if "chromium" in missing:
        session.error(f"The browser tests need Chromium on the PATH: {how}")
    session.warn(f"Without PostgreSQL the store is tested on SQLite alone: {how}")


def _timescale(session: nox.Session) -> None:
    """TimescaleDB, which Debian has from version 13 on: a tree of that beside this system."""
    named = os.environ.get("AGENTTRACE_TEST_TREE") or os.environ.get("AGENTTRACE_TEST_DATABASE_URL")
    if named or (TREE / "usr/lib/postgresql/17/lib/timescaledb.so").is_file():
        return
    if not (shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0):
        session.warn(
            "The store is not tested on TimescaleDB: name one that may be used for it in "
            "AGENTTRACE_TEST_DATABASE_URL"
        )
        return
    if not shutil.which("debootstrap"):
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "debootstrap"]
        session.run_install(*install, external=True, env={"DEBIAN_FRONTEND": "noninteractive"})
    shutil.rmtree(TREE, ignore_errors=True)
    packages = "--include=postgresql-17,postgresql-17-timescaledb"
    command = ["debootstrap", "--variant=minbase", packages, "trixie", str(TREE)]
    session.run_install(*command, external=True, silent=True)


def _built_ui(session: nox.Session) -> None:
    """Install the UI's packages and build it, where either is missing or old."""
    session.run("python", "-m", "agenttrace_server.ui_build")


def _is_benchmark(script: Path) -> bool:
    """Whether it is run for itself and needs nothing."""
    return script.name not in WANT_RUNS and "__main__" in script.read_text()


def _figures(output: str) -> Iterator[dict[str, object]]:
    for line in output.splitlines():
        if line.startswith('{"name"'):
            yield json.loads(line)


def _table(results: list[dict[str, object]]) -> str:
    columns = ("name", "value", "unit", "baseline", "ratio", "target", "ok")
    rows = [columns, *(tuple(_cell(r.get(column)) for column in columns) for r in results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)
