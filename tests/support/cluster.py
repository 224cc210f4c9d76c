"""A PostgreSQL of the tests' own: started, stopped, killed, started again."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy.engine import URL

from support.ports import free_port

_INITDB = ("--auth=trust", "--username=agenttrace", "--encoding=UTF8", "--no-sync")
# Tests throw its files away in any case, so it need not wait for the disk.
THROWN_AWAY = "-c fsync=off"
_SETTINGS = "-c listen_addresses=127.0.0.1 -c max_connections=200"
_TIMESCALE = "-c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off"
START_SECONDS = 120.0


class Cluster:
    """A cluster in a temporary folder, which runs from now on and ends with the tests.

    `programs` is the folder of PostgreSQL's; with a `tree` they are those of another Debian, which
    has TimescaleDB and which only root can enter. `data` is a folder to use, within the tree.
    """

    def __init__(
        self,
        programs: Path,
        tree: Path | None = None,
        data: Path | None = None,
        settings: str = THROWN_AWAY,
    ) -> None:
        self._tree = tree
        self._settings = settings
        self._programs = programs if tree is None else Path("/", programs.relative_to(tree))
        self._folder = data or Path(
            tempfile.mkdtemp(prefix="agenttrace-pg-", dir=None if tree is None else tree / "tmp")
        )
        self._port = free_port()
        # PostgreSQL refuses to run as root, as which CI often runs.
        self._user = "postgres" if tree is None and os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        elif tree is not None:
            self._folder.chmod(0o777)
        atexit.register(self.remove)
        self._run("initdb", *_INITDB)
        self.start()

    @property
    def url(self) -> URL:
        """The server's URL, with a database to connect to."""
        return URL.create("postgresql", "agenttrace", None, "127.0.0.1", self._port, "postgres")

    def start(self) -> None:
        """Start it, after whatever happened; return when it answers."""
        options = f"-p {self._port} -k {self._within} {_SETTINGS} {self._settings}"
        if self._tree is not None:
            options += f" {_TIMESCALE}"
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                log = f"--log={self._within / 'log'}"
                self._run("pg_ctl", "start", "--wait", log, f"--options={options}")
                return
            except subprocess.CalledProcessError:
                # After a kill, the memory that its last processes share may still be in use.
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop it in order; every connection is cut."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def kill(self) -> None:
        """Kill all of its processes as `kill -9` does."""
        pid = self._pid()
        if pid is None:
            return
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True)
        for each in (pid, *map(int, listed.stdout.split())):
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended with its parent

    def remove(self) -> None:
        """End it and delete its files."""
        if self._pid() is not None:
            try:
                self._run("pg_ctl", "stop", "--mode=immediate")
            except subprocess.CalledProcessError:
                self.kill()  # it was killed before, and its file says it runs
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _within(self) -> Path:
        """The folder as the programs see it."""
        return (
            self._folder if self._tree is None else Path("/", self._folder.relative_to(self._tree))
        )

    def _pid(self) -> int | None:
        file = self._folder / "data" / "postmaster.pid"
        return int(file.read_text().split()[0]) if file.exists() else None

    def _run(self, program: str, *arguments: str) -> None:
        enter: list[str | Path] = (
            ["chroot", "--userspec=postgres", self._tree] if self._tree else []
        )
        command = [*enter, self._programs / program, "-D", self._within / "data", *arguments]
        cwd = self._folder if self._tree is None else None
        with (self._folder / "pg_ctl.log").open("a") as told:
            subprocess.run(command, user=self._user, cwd=cwd, check=True, stdout=told, stderr=told)
