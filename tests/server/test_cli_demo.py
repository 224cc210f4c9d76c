"""`agenttrace demo` and `agenttrace run`, as a newcomer runs them."""

import json
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support.command import Home, Serving, path_without

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"url", "trace_id", "agents", "messages", "spans", "failures"}


def test_the_demo_prints_one_json_object_about_a_trace_that_is_kept(home: Home) -> None:
    done = home.run("demo", "--once")
    kept = home.run("traces", "show", done.json["trace_id"], "--format", "json").json

    assert done.code == 0, done.err
    assert done.json.keys() == KEYS
    assert len(done.out.splitlines()) == 1
    assert done.json["url"] == f"{home.url}/traces/{done.json['trace_id']}"
    assert done.json["agents"] == len(kept["agents"]) >= 3
    assert done.json["messages"] == len(kept["messages"]) >= 8
    assert done.json["spans"] == kept["trace"]["span_count"]
    assert done.json["failures"] == len(kept["failures"])
    assert {"1.3", "2.5", "3.2"} <= {failure["mode"] for failure in kept["failures"]}
    assert {message["provenance"] for message in kept["messages"]} == {"observed"}
    assert not answers(home.port)


def test_the_demo_uses_the_agenttrace_that_runs(home: Home) -> None:
    with home.serving() as server:
        done = home.run("demo", "--once")
        listed = get(f"{server.url}/api/traces")

    assert done.code == 0, done.err
    assert done.says("AgentTrace .* already serves .*: using it")
    assert [trace["trace_id"] for trace in listed["items"]] == [done.json["trace_id"]]


def test_the_demo_goes_back_and_mends_its_run_then_serves_until_ctrl_c(home: Home) -> None:
    said = home.folder / "said"
    with said.open("w") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "agenttrace_server", "demo"],
            env=home.environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
    demo = Serving(process)

    try:
        demo.wait_for("Serving until Ctrl-C")
        demo.wait_for(r"demo can replay: research-team \(langgraph\)")
        page = get(f"{home.url}/api/traces")
        [replay] = get(f"{home.url}/api/replays")["items"]
    finally:
        code = demo.stop()

    mended, failed = page["items"]
    assert (replay["source_trace_id"], replay["trace_id"]) == (
        failed["trace_id"],
        mended["trace_id"],
    )
    assert (failed["failure_count"], mended["failure_count"]) == (3, 0)
    assert re.search(r"Answer was +Yes\. .*18\.0 %", said.read_text())
    assert re.search(r"Answer is +No\. .*8\.2 %", said.read_text())
    assert re.search(r"Failures +3 gone, 0 new", said.read_text())
    assert f"{home.url}/replays/{replay['replay_id']}" in said.read_text()
    assert code == 0
    assert "Traceback" not in demo.said
    assert not answers(home.port)


def test_a_port_taken_by_something_else_is_one_line(home: Home) -> None:
    with socket.create_server(("127.0.0.1", home.port)):
        done = home.run("demo", "--once")

    assert done.code == 1
    assert done.out == ""
    assert done.says(f"error: .*{home.port}.*in use.*--port")
    assert len(done.err.strip().splitlines()) == 1


def test_an_unwritable_data_folder_is_one_line(home: Home) -> None:
    done = home.run("demo", "--once", AGENTTRACE_DATA_DIR="/dev/null/agenttrace")

    assert done.code == 1
    assert done.says("error: cannot write to /dev/null/agenttrace .*AGENTTRACE_DATA_DIR")
    assert len(done.err.strip().splitlines()) == 1


def test_a_missing_node_is_one_line_where_there_is_no_ui(home: Home, tmp_path: Path) -> None:
    """In a copy of the checkout that was never built; the UI of this one stays as it is."""
    package = tmp_path / "clone" / "agenttrace-server" / "agenttrace_server"
    ignored = ("static", "__pycache__")
    for source in (ROOT / "agenttrace-server" / "agenttrace_server").rglob("*"):
        relative = source.relative_to(ROOT / "agenttrace-server" / "agenttrace_server")
        if source.is_file() and not set(relative.parts) & set(ignored):
            (package / relative).parent.mkdir(parents=True, exist_ok=True)
            (package / relative).write_bytes(source.read_bytes())
    lock = tmp_path / "clone" / "ui" / "package-lock.json"
    examples = tmp_path / "clone" / "examples" / "research_team.py"
    for path in (lock, examples):
        path.parent.mkdir(parents=True)
        path.write_text("")

    done = home.run(
        "demo",
        "--once",
        PATH=path_without("node", "npm", folder=tmp_path / "bin"),
        PYTHONPATH=str(package.parent),
        AGENTTRACE_BUILD_UI="1",
    )

    assert done.code == 1
    assert done.says("error: .*Node.js is not on the PATH: install Node.js .*--no-ui")
    assert len(done.err.strip().splitlines()) == 1


def test_an_unknown_framework_is_a_usage_error(home: Home) -> None:
    done = home.run("demo", "--once", "--framework", "langchain2")

    assert done.code == 2
    assert "langgraph" in done.err


@pytest.mark.parametrize("code", [0, 7])
def test_run_passes_arguments_and_the_exit_code_through(home: Home, code: int) -> None:
    script = home.folder / "my app.py"
    script.write_text("import sys; print(sys.argv[1:]); sys.exit(int(sys.argv[-1]))")

    with home.serving():
        done = home.run("run", script, "--help", "--once", str(code))

    assert done.code == code
    assert done.out == f"['--help', '--once', '{code}']\n"


def test_run_tells_a_missing_script(home: Home) -> None:
    done = home.run("run", home.folder / "missing.py")

    assert done.code == 2
    assert done.says("missing.py")
    assert "Traceback" not in done.err


def test_doctor_is_passed_on_with_its_exit_code(home: Home) -> None:
    done = home.run("doctor")

    assert done.code == 1
    assert "agenttrace serve" in done.out + done.err
    assert "Traceback" not in done.err


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
