"""The command line as its users run it, without a server and with one."""

import gzip
import json
import signal
import socket
from pathlib import Path

import pytest

from agenttrace_server.decode import decode
from agenttrace_server.encode import encode_protobuf
from support.command import Home

CAPTURES = sorted((Path(__file__).parents[1] / "captures").glob("*.json"))
LOGS = [path for path in CAPTURES if b'"resourceLogs"' in path.read_bytes()]
TRACES = [path for path in CAPTURES if path not in LOGS]
SWARM = next(path for path in CAPTURES if "openinference-agentchat-0.1.22-swarm" in path.name)
RESEARCH = next(path for path in CAPTURES if "smol_deep_research" in path.name)
"""One run in one trace: nothing is joined to it meanwhile."""


def test_the_help_names_every_command_and_gives_examples(home: Home) -> None:
    done = home.run("--help")
    examples = home.run("check", "--help")

    commands = [
        "demo",
        "serve",
        "run",
        "import",
        "check",
        "traces",
        "checkpoints",
        "replay",
        "worker",
        "diff",
        "export",
        "plugins",
        "doctor",
        "migrate",
    ]
    assert done.code == 0
    assert all(command in done.out for command in [*commands, "doctor", "migrate"])
    assert "Example: agenttrace check" in examples.out


def test_a_wrong_option_ends_with_exit_code_2(home: Home) -> None:
    done = home.run("serve", "--prot", "1")

    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize("place", ["home", "served"])
def test_importing_every_capture_twice_keeps_one_copy(
    place: str, request: pytest.FixtureRequest
) -> None:
    home: Home = request.getfixturevalue(place)
    first = home.run("import", "--format", "json", *TRACES)
    second = home.run("import", "--format", "json", *TRACES)
    listed = home.run("traces", "list", "--limit", "500", "--format", "json")

    assert (first.code, second.code, listed.code) == (0, 0, 0), first.err + second.err
    assert len(first.json) == len(TRACES) > 10
    for once, again in zip(first.json, second.json, strict=True):
        assert once["accepted"] + once["duplicates"] > 0
        assert len(once["reasons"]) == once["rejected"] == again["rejected"]
        assert again["accepted"] == 0
        assert again["duplicates"] == once["accepted"] + once["duplicates"]
    stored = sum(trace["span_count"] for trace in listed.json["items"])
    assert stored == sum(result["accepted"] for result in first.json)


def test_log_files_are_taken_to_where_logs_belong(served: Home) -> None:
    done = served.run("import", *LOGS)

    assert LOGS
    assert done.code == 0, done.err
    assert done.says("log events joined to their spans")


def test_an_import_reads_gzip_json_lines_arrays_and_protobuf(home: Home, tmp_path: Path) -> None:
    one, two = SWARM.read_bytes(), TRACES[-2].read_bytes()
    lines = b"\n".join(json.dumps(json.loads(body)).encode() for body in (one, two))
    files = {
        "both.jsonl": lines,
        "both.jsonl.gz": gzip.compress(lines),
        "both.json": b"\xef\xbb\xbf [" + one + b"," + two + b"]",
        "one.pb": encode_protobuf(decode(one, "application/json").spans),
        "pretty.json.gz": gzip.compress(json.dumps(json.loads(two), indent=2).encode()),
    }
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)

    done = home.run("import", "--format", "json", "-", *(tmp_path / n for n in files), stdin=one)

    assert done.code == 0, done.err
    a, b = (len(decode(body, "application/json").spans) for body in (one, two))
    counted = [result["accepted"] + result["duplicates"] for result in done.json]
    assert counted == [a, a + b, a + b, a + b, a, b]
    assert sum(result["accepted"] for result in done.json) == a + b


def test_files_that_are_no_otlp_cost_only_themselves_and_say_why(
    served: Home, tmp_path: Path
) -> None:
    broken = {
        "broken.json": b'{"resourceSpans": [',
        "empty.json": b"",
        "broken.gz": gzip.compress(bytes(range(256)) * 20)[:100],
        "random.pb": bytes(range(255, 0, -1)),
        "words.txt": b"not a trace at all",
        "nothing.json": b"{}",
        "second-line-bad.jsonl": b'{"resourceSpans": []}\n{"resourceSpans": [\n',
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    names = [*broken, "missing.json"]

    done = served.run("import", "--format", "json", *(tmp_path / name for name in names), SWARM)

    assert done.code == 1
    assert all(done.says(f"error: [^ ]*/{name}: ") for name in names), done.err
    assert len(done.err.splitlines()) == len(names)
    assert done.says("second-line-bad.jsonl: line 2: ")
    assert [result["error"] is None for result in done.json] == [False] * len(names) + [True]
    assert done.json[-1]["accepted"] + done.json[-1]["duplicates"] > 0


def test_spans_that_are_refused_are_counted_with_the_reason(served: Home, tmp_path: Path) -> None:
    document = json.loads(SWARM.read_bytes())
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "00"
    file = tmp_path / "one-bad.json"
    file.write_text(json.dumps(document))

    done = served.run("import", "--format", "json", file)

    assert done.code == 0
    assert done.json[0]["rejected"] == 1
    assert done.says(r"warning: .*one-bad.json: rejected .*trace")


def test_a_trace_can_be_listed_shown_exported_deleted_and_brought_back(
    served: Home, tmp_path: Path
) -> None:
    exported = tmp_path / "exported.json"
    trace_id = served.largest_trace(RESEARCH)
    served.run("check", trace_id)

    shown = served.run("traces", "show", trace_id, "--format", "json").json
    text = served.run("traces", "show", trace_id)
    listed = served.run("traces", "list", "--framework", "smolagents", "--format", "json").json
    elsewhere = served.run("traces", "list", "--service", "no-such", "--format", "json").json
    export = served.run("export", trace_id, "--format", "otlp", "--output", exported)
    deleted = served.run("traces", "delete", trace_id)
    gone = served.run("traces", "show", trace_id)
    back = served.run("import", "--format", "json", exported).json[0]

    assert shown["trace"]["analysed"]
    names = {agent["name"] for agent in shown["agents"]}
    assert len(names) == 2
    assert {message["sender"] for message in shown["messages"]} & names
    assert all(name in text.out for name in names)
    assert trace_id in [trace["trace_id"] for trace in listed["items"]]
    assert elsewhere["total"] == 0
    assert (export.code, deleted.code, gone.code) == (0, 0, 1)
    assert gone.says("error: There is no trace")
    assert back["accepted"] == shown["trace"]["span_count"]


def test_a_server_and_the_database_tell_the_same(home: Home) -> None:
    trace_id = home.largest_trace(RESEARCH)
    arguments = ("traces", "show", trace_id, "--format", "json")

    without = home.run(*arguments).json
    with home.serving() as server:
        through = home.run(*arguments).json
        named = home.run(*arguments, "--server", server.url).json

    assert without["trace"]["analysed"]
    assert without == through == named


def test_where_spans_are_sent_is_where_traces_are_looked_for(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    trace_id = other.largest_trace(RESEARCH)
    with other.serving() as server:
        found = home.run("traces", "list", OTEL_EXPORTER_OTLP_ENDPOINT=server.url)
        own = home.run("traces", "list", "--format", "json", OTEL_EXPORTER_OTLP_ENDPOINT="no url")

    assert trace_id[:8] in found.out
    assert own.json["items"] == []


def test_times_may_be_given_as_ago(served: Home) -> None:
    served.run("import", SWARM)

    old = served.run("traces", "list", "--until", "1m", "--format", "json").json
    recent = served.run("traces", "list", "--since", "1m", "--format", "json").json
    nonsense = served.run("traces", "list", "--since", "yesterday-ish")

    assert old["total"] > 0
    assert recent["total"] == 0
    assert nonsense.code == 1
    assert nonsense.says("error: .*since")


def test_migrate_moves_a_database_up_and_down(home: Home) -> None:
    newest = home.run("migrate", "history", "--format", "json").json[-1]["revision"]

    up = home.run("migrate", "up")
    after = home.run("migrate", "current")
    down = home.run("migrate", "down", "base", "--yes")
    gone = home.run("migrate", "current")
    unknown = home.run("migrate", "up", "no-such")

    assert (after.out, gone.out) == (f"{newest}\n", "none\n")
    assert (up.code, down.code, unknown.code) == (0, 0, 1)
    assert "Traceback" not in unknown.err


def test_plugins_lists_every_plugin_with_what_it_answers(home: Home) -> None:
    listed = {info["name"]: info for info in home.run("plugins", "--format", "json").json}

    assert {"genai", "langgraph", "autogen", "crewai", "mast"} <= listed.keys()
    assert "agenttrace_normalizer" in listed["langgraph"]["hooks"]
    assert all(info["error"] is None for info in listed.values())


def test_a_broken_plugin_is_listed_with_the_reason_and_costs_nothing_else(
    home: Home, tmp_path: Path
) -> None:
    package = tmp_path / "agenttrace_broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: agenttrace-broken\nVersion: 1.0\n"
    )
    (package / "entry_points.txt").write_text("[agenttrace]\nbroken = agenttrace_broken\n")
    (tmp_path / "agenttrace_broken.py").write_text("import no_such_module\n")

    done = home.run("plugins", PYTHONPATH=str(tmp_path))
    imported = home.run("import", SWARM, PYTHONPATH=str(tmp_path))

    assert done.code == imported.code == 0
    assert "agenttrace-broken" in done.out
    assert "No module named 'no_such_module'" in " ".join(done.out.split())
    assert imported.says("Plugin 'broken' .* cannot be loaded")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_and_ends_well(home: Home, ending: signal.Signals) -> None:
    with home.serving() as server:
        assert server.url == home.url

        assert server.stop(ending) == 0

    assert "Traceback" not in server.said


def test_serve_on_the_port_of_another_agenttrace_says_so(served: Home) -> None:
    done = served.run("serve")

    assert done.code == 1
    assert done.says("error: AgentTrace .* already serves")


def test_serve_on_a_port_that_is_taken_says_what_to_do(home: Home) -> None:
    with socket.create_server(("127.0.0.1", home.port)):
        done = home.run("serve")

    assert done.code == 1
    assert done.says(f"error: .*{home.port}.*in use.*--port")
    assert len(done.err.strip().splitlines()) == 1


def test_serve_beyond_the_machine_wants_an_api_key(home: Home) -> None:
    done = home.run("serve", "--host", "0.0.0.0")

    assert done.code == 1
    assert done.says("AGENTTRACE_API_KEY.*--insecure")


@pytest.mark.parametrize("command", [("serve",), ("traces", "list"), ("migrate", "up")])
def test_an_unwritable_data_folder_is_one_line(home: Home, command: tuple[str, ...]) -> None:
    done = home.run(*command, AGENTTRACE_DATA_DIR="/dev/null/agenttrace")

    assert done.code == 1
    assert done.says("error: cannot write to /dev/null/agenttrace .*AGENTTRACE_DATA_DIR")
    assert len(done.err.strip().splitlines()) == 1


def test_a_wrong_setting_is_one_line_that_names_it(home: Home) -> None:
    done = home.run("serve", AGENTTRACE_QUIET_SECONDS="soon")

    assert done.code == 1
    assert done.says("error: .*AGENTTRACE_QUIET_SECONDS")
    assert len(done.err.strip().splitlines()) == 1


def test_a_server_that_is_not_there_is_one_line(home: Home) -> None:
    done = home.run("traces", "list", "--server", home.url)

    assert done.code == 1
    assert done.says("error: no server answers at .*agenttrace serve")


def test_an_api_key_is_sent_from_the_environment(home: Home) -> None:
    with home.serving(AGENTTRACE_API_KEY="secret"):
        without = home.run("traces", "list")
        with_key = home.run("traces", "list", AGENTTRACE_API_KEY="secret")

    assert without.code == 1
    assert without.says("API key")
    assert with_key.code == 0


def test_the_key_of_where_spans_are_sent_is_in_its_headers(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    with other.serving(AGENTTRACE_API_KEY="secret") as server:
        sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "AGENTTRACE_API_KEY": "of this machine"}
        without = home.run("traces", "list", **sent)
        with_key = home.run(
            "traces", "list", **sent, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20secret"
        )

    assert without.says("API key")
    assert with_key.code == 0
