"""Build the UI from a checkout into `agenttrace_server/static/`.

Standard library only and no import of ours: the wheel's build hook loads this file by its path,
where nothing is installed yet.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NODE_MINIMUM = (20, 19)
INSTALL_NODE = (
    "install Node.js 20.19 or newer with npm (https://nodejs.org, `brew install node`, "
    "`nvm install 22`; the one in Debian 12 is too old)"
)

_PACKAGE = Path(__file__).resolve().parent
STATIC = _PACKAGE / "static"
_HASH_FILE = ".source-hash"
_NOT_SOURCE = {"node_modules", "dist", "coverage", "test-results", "playwright-report"}


class UIBuildError(RuntimeError):
    """The UI cannot be built; the message is one line that says what to do."""


def source_folder() -> Path | None:
    """Return the checkout's `ui/` folder, or None where this is an installed package."""
    folder = _PACKAGE.parents[1] / "ui"
    return folder if (folder / "package-lock.json").is_file() else None


def is_built(static: Path = STATIC) -> bool:
    """Whether there is a built UI, however old."""
    return (static / "index.html").is_file()


def is_current(ui: Path, static: Path = STATIC) -> bool:
    """Whether the built UI was made from exactly the sources in `ui`."""
    recorded = static / _HASH_FILE
    return (
        is_built(static)
        and recorded.is_file()
        and recorded.read_text(encoding="utf-8").strip() == source_hash(ui)
    )


def source_hash(ui: Path) -> str:
    """Return a hash over the path and content of every file the build reads."""
    digest = hashlib.sha256()
    for path in _sources(ui):
        digest.update(path.relative_to(ui).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def missing_node() -> str | None:
    """Return what to do about a missing or too old Node.js or npm, or None if all is well."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return f"{'Node.js' if node is None else 'npm'} is not on the PATH: {INSTALL_NODE}"
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    if found is None or (int(found[1]), int(found[2])) < NODE_MINIMUM:
        return f"Node.js {answer.stdout.strip() or 'here'} is too old: {INSTALL_NODE}"
    return None


def build(
    ui: Path,
    static: Path = STATIC,
    *,
    say: Callable[[str], None],
    output: Any = None,
) -> None:
    """Install the locked packages, build the UI and put it in `static` in one move.

    `say` gets a line per step; what npm prints goes to `output` (a file, None: inherited), so that
    progress is seen as it happens. Where another process builds at the same time, this one waits
    and uses its result. Raises `UIBuildError`.
    """
    with _alone(ui, say):
        wanted = source_hash(ui)
        if is_current(ui, static):
            return
        _install(ui, say, output)
        say("Building the UI (npm run build) …")
        _npm(ui, output, "run", "build", "--", "--outDir=dist", "--emptyOutDir")
        _publish(ui / "dist", static, wanted)
        say(f"The UI is built in {static}")


def install_packages(ui: Path, *, say: Callable[[str], None], output: Any = None) -> None:
    """Install exactly the locked packages, unless they are. Raises `UIBuildError`."""
    with _alone(ui, say):
        _install(ui, say, output)


def _install(ui: Path, say: Callable[[str], None], output: Any) -> None:
    if problem := missing_node():
        raise UIBuildError(problem)
    if not _packages_installed(ui):
        say("Installing the UI's packages (npm ci, about half a minute the first time) …")
        _npm(ui, output, "ci", "--include=dev", "--no-audit", "--no-fund", "--prefer-offline")


def _sources(ui: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(ui):
        names[:] = sorted(n for n in names if n not in _NOT_SOURCE and not n.startswith("."))
        for file in sorted(files):
            if not file.endswith((".test.ts", ".test.tsx", ".md", ".tsbuildinfo")):
                yield Path(folder, file)


def _packages_installed(ui: Path) -> bool:
    """npm writes this file last; an older one belongs to another lock."""
    done = ui / "node_modules" / ".package-lock.json"
    lock = ui / "package-lock.json"
    return done.is_file() and done.stat().st_mtime >= lock.stat().st_mtime


def _npm(ui: Path, output: Any, *arguments: str) -> None:
    npm = shutil.which("npm") or "npm"
    done = subprocess.run(
        [npm, *arguments],
        cwd=ui,
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise UIBuildError(
            f"`npm {' '.join(arguments)}` failed in {ui} (exit code {done.returncode}); "
            "what it printed above says why"
        )


def _publish(built: Path, static: Path, source: str) -> None:
    """Swap folders instead of copying into place: a server may be serving the old one."""
    if not (built / "index.html").is_file():
        raise UIBuildError(f"the build left no index.html in {built}")
    static.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".static-", dir=static.parent))
    try:
        shutil.copytree(built, fresh, dirs_exist_ok=True)
        fresh.chmod(0o755)
        (fresh / _HASH_FILE).write_text(source + "\n", encoding="utf-8")
        old = fresh.with_name(fresh.name + "-old")
        if static.exists():
            static.rename(old)
        fresh.rename(static)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def _alone(ui: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock on the checkout's UI folder; without file locks (Windows) go on without."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (ui / ".build-lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Waiting for another build of the UI to finish …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _main() -> int:
    """`python -m agenttrace_server.ui_build`: have the packages and a current build."""
    ui = source_folder()
    if ui is None:
        return 0
    try:
        install_packages(ui, say=_tell, output=sys.stderr)
        build(ui, say=_tell, output=sys.stderr)
    except UIBuildError as error:
        _tell(f"error: {error}")
        return 1
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(_main())
