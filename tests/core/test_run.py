import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import pytest

from support.collector import Collector, attributes
from support.ports import free_port

APP = """
import sys
import agenttrace

@agenttrace.AgentTracer("app").agent
def agent(x):
    return x

agent(sys.argv[1])
print("argv", sys.argv[1:], "name", __name__, "file", __file__)
print("path", sys.path[0])
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a program."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "neighbour.py").write_text("here = True")
    return folder


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACE", "AGENTT"))}
    return {**kept, **more}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "agenttrace", *map(str, arguments)]


def run(
    *arguments: object, cwd: Path | None = None, **more: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command("run", *arguments),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_program_is_recorded_without_a_line_in_it(receiver: Collector, app: Path) -> None:
    done = run("--endpoint", receiver.url, app / "app.py", "one", "--two", "-m", cwd=app.parent)

    [span] = receiver.spans
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"argv ['one', '--two', '-m'] name __main__ file {app / 'app.py'}",
        f"path {app}",
    ]
    assert done.stderr == f"agenttrace: {receiver.url}/traces/{span.trace_id.hex()}\n"
    resource = attributes(receiver.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == "app"


def test_the_service_may_be_named(receiver: Collector, app: Path) -> None:
    run(f"--endpoint={receiver.url}", "--service-name", "mine", app / "app.py", "x")

    resource = attributes(receiver.requests[0].resource_spans[0].resource)
    assert resource["service.name"] == "mine"


def test_a_module_is_run_from_the_current_folder(receiver: Collector, app: Path) -> None:
    (app / "package").mkdir()
    (app / "package" / "__main__.py").write_text(
        "import neighbour\nfrom . import part\nprint(__name__, __package__, __spec__.name)"
    )
    (app / "package" / "part.py").write_text("")
    plain = run("--endpoint", receiver.url, "-m", "app", "x", "-y", cwd=app)
    package = run("--endpoint", receiver.url, "-m", "package", cwd=app)

    assert plain.stdout.splitlines()[0] == (f"argv ['x', '-y'] name __main__ file {app / 'app.py'}")
    assert package.stdout == "__main__ package package.__main__\n"


def test_a_folder_with_a_main_file_is_run(receiver: Collector, app: Path) -> None:
    (app / "__main__.py").write_text("import neighbour\nprint(neighbour.here)")

    assert run("--endpoint", receiver.url, app).stdout == "True\n"


@pytest.mark.parametrize(
    ("code", "exit_code", "last_line"),
    [
        ("raise SystemExit", 0, None),
        ("raise SystemExit(7)", 7, None),
        ("raise SystemExit('sorry')", 1, "sorry"),
        ("raise ValueError('boom')", 1, "ValueError: boom"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("def f(:\n", 1, "SyntaxError: invalid syntax"),
        ("import sys; sys.excepthook = lambda *a: print('mine', file=sys.stderr); 1/0", 1, "mine"),
    ],
)
def test_exit_codes_and_tracebacks_are_pythons(
    receiver: Collector, tmp_path: Path, code: str, exit_code: int, last_line: str | None
) -> None:
    program = tmp_path / "program.py"
    program.write_text(code)

    recorded = run("--endpoint", receiver.url, program)
    plain = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)

    assert recorded.returncode == exit_code
    said = [line for line in recorded.stderr.splitlines() if "agenttrace: nothing was" not in line]
    assert said == plain.stderr.splitlines()
    if last_line is not None:
        assert said[-1] == last_line


def test_spans_of_a_program_that_fails_arrive(receiver: Collector, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import agenttrace\nagenttrace.AgentTracer('x').agent(lambda: 1 / 0, )()\n")

    done = run("--endpoint", receiver.url, program)

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert f"{receiver.url}/traces/" in done.stderr
    assert len(receiver.spans) == 1


def test_threads_that_outlive_the_main_one_are_waited_for(
    receiver: Collector, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import threading, time, agenttrace
        agent = agenttrace.AgentTracer("x").agent(lambda: time.sleep(0.3))
        threading.Thread(target=agent).start()
        """)
    )

    done = run("--endpoint", receiver.url, program)

    assert len(receiver.spans) == 1
    assert f"{receiver.url}/traces/" in done.stderr


def test_many_traces_are_not_all_listed(receiver: Collector, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import agenttrace\nagent = agenttrace.AgentTracer('x').agent(lambda: 1)\n"
        "for _ in range(8): agent()"
    )

    lines = run("--endpoint", receiver.url, program).stderr.splitlines()

    assert len(lines) == 6
    assert lines[-1] == f"agenttrace: and 3 more: {receiver.url}/traces"


def test_a_terminated_program_delivers_its_spans(receiver: Collector, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import agenttrace, time\nagenttrace.AgentTracer('x').agent(lambda: 1)()\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    running = subprocess.Popen(
        command("run", "--endpoint", receiver.url, program),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"

    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)

    assert running.returncode == 128 + signal.SIGTERM
    assert len(receiver.spans) == 1


def test_a_program_that_records_nothing_is_told_so(receiver: Collector, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("")

    assert "nothing was recorded: no agent ran" in run("--endpoint", receiver.url, program).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which program?"),
        (["no_such_file.py"], "No such file or directory: 'no_such_file.py'"),
        (["-m", "no_such_module"], "No module named no_such_module"),
        (["-m", "json"], "'json' cannot be executed"),
        (["-m"], "-m needs a module"),
        (["--endpoint"], "--endpoint needs a value"),
        (["--nonsense", "x.py"], "no such option: --nonsense"),
    ],
)
def test_a_command_line_that_makes_no_sense_says_why(arguments: list[str], said: str) -> None:
    done = run(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_no_error() -> None:
    assert run("--help").returncode == 0
    assert "usage: agenttrace run" in run("--help").stderr


def test_what_the_package_runs_is_listed() -> None:
    done = subprocess.run(command("--help"), capture_output=True, text=True, check=True)
    wrong = subprocess.run(command("nonsense"), capture_output=True, text=True, check=False)

    assert "python -m agenttrace run" in done.stdout
    assert wrong.returncode == 2


def test_without_a_server_the_program_runs_and_the_line_to_start_one_is_shown(app: Path) -> None:
    done = run("--no-server", "--endpoint", "http://127.0.0.1:1", app / "app.py", "x")

    assert done.returncode == 0
    assert "no server at http://127.0.0.1:1; start one with: agenttrace serve" in done.stderr
    assert "AgentTrace lost 1 of 1 spans" in done.stderr


SERVER = """
import argparse, json, os, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(json.dumps({"service": "agenttrace", "pid": os.getpid()}).encode())
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"")
    def do_DELETE(self):
        self.answer(b"")
        threading.Thread(target=self.server.shutdown).start()
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): print(*args)

options = argparse.ArgumentParser()
options.add_argument("command")
options.add_argument("--host")
options.add_argument("--port", type=int)
chosen = options.parse_args()
HTTPServer((chosen.host, chosen.port), Handler).serve_forever()
"""


@pytest.fixture
def server_package(tmp_path: Path) -> Path:
    """An `agenttrace_server` that starts at once, and stops when it is asked to."""
    package = tmp_path / "with_server" / "agenttrace_server"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(SERVER)
    return package


def test_a_server_is_started_if_none_answers_and_outlives_the_program(
    app: Path, server_package: Path, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    variables = {
        "PYTHONPATH": str(server_package.parent),
        "AGENTTRACE_DATA_DIR": str(tmp_path / "data"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
    }
    first = run(app / "app.py", "x", **variables)
    second = run(app / "app.py", "x", **variables)

    with urllib.request.urlopen(f"{url}/health") as reply:
        assert json.load(reply)["service"] == "agenttrace"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()
    log = tmp_path / "data" / "server.log"
    assert f"starting a server at {url} (log: {log})" in first.stderr
    assert f"{url}/traces/" in first.stderr
    assert "starting" not in second.stderr
    assert "POST /v1/traces" in log.read_text()


def test_a_server_that_does_not_start_is_told_about_and_the_program_runs(
    app: Path, server_package: Path, tmp_path: Path
) -> None:
    (server_package / "__main__.py").write_text("raise SystemExit('the disk is full')")

    done = run(
        "--endpoint", f"http://127.0.0.1:{free_port()}", app / "app.py", "x",
        PYTHONPATH=str(server_package.parent), AGENTTRACE_DATA_DIR=str(tmp_path / "data"),
    )  # fmt: skip

    assert done.returncode == 0
    assert "argv ['x']" in done.stdout
    assert "does not answer (the disk is full)" in done.stderr
