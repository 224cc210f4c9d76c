import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import agenttrace
from agenttrace import checkup
from agenttrace.testing import InMemoryExporter
from support.collector import Collector


def doctor(
    *arguments: object, path: Path | None = None, **more: str
) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACE", "AGENTT"))}
    return subprocess.run(
        [sys.executable, "-m", "agenttrace", "doctor", *map(str, arguments)],
        env={**kept, **({"PYTHONPATH": str(path)} if path else {}), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def problems(done: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, str]]:
    """The problems in a JSON report by check."""
    report = json.loads(done.stdout)
    found = {f["check"]: f for f in report["findings"] if f["level"] == "problem"}
    assert report["ok"] is (not found)
    assert done.returncode == (1 if found else 0)
    return found


def program(tmp_path: Path, code: str) -> Path:
    path = tmp_path / "program.py"
    path.write_text(code)
    return path


def test_all_is_well_with_a_server_and_a_program_that_records(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path, "import agenttrace, sys; agenttrace.instrument(); print('out', sys.argv)"
    )

    done = doctor("--endpoint", receiver.url, path, "--flag")

    assert done.returncode == 0
    assert done.stdout.endswith("✓ all is well\n")
    assert f"out ['{path}', '--flag']" in done.stderr


def test_a_server_that_is_not_there_is_found() -> None:
    done = doctor("--endpoint", "http://127.0.0.1:1")

    assert done.returncode == 1
    assert "✗ server: nothing answers at http://127.0.0.1:1" in done.stdout
    assert "    agenttrace serve\n" in done.stdout


def test_a_server_elsewhere_is_not_to_be_started_here() -> None:
    [finding] = checkup.server("http://agenttrace.invalid:4318")

    assert finding.mend.startswith("export OTEL_EXPORTER_OTLP_ENDPOINT=")


def test_an_endpoint_that_is_no_url_is_found() -> None:
    [finding] = checkup.server("ftp://x")

    assert (finding.check, finding.level) == ("server", "problem")


@pytest.mark.parametrize(
    ("variables", "what", "mend"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, "switches all", "CREWAI_DISABLE_TELEMETRY=true"),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "drops every span", "unset OTEL_TRACES_SAMPLER"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"},
            "gRPC endpoint",
            "=http://collector:4318",
        ),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, "AWS Lambda freezes", "agenttrace.flush()"),
    ],
)
def test_variables_that_keep_spans_away_are_found(
    variables: dict[str, str], what: str, mend: str
) -> None:
    [finding] = checkup.environment(variables)

    assert what in finding.what
    assert mend in finding.mend
    assert list(checkup.environment({})) == []


def test_a_program_that_never_calls_instrument_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    done = doctor("--json", "--endpoint", receiver.url, program(tmp_path, "print('hello')"))

    finding = problems(done)["provider"]
    assert "instrument() was not called" in finding["what"]
    assert "agenttrace.instrument()" in finding["mend"]


def test_a_foreign_provider_without_our_processor_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path,
        "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())",
    )

    finding = problems(doctor("--json", "--endpoint", receiver.url, path))["provider"]

    assert "has no AgentTrace processor" in finding["what"]


def test_a_provider_that_was_shut_down_too_early_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path,
        "import agenttrace\nfrom opentelemetry import trace\nagenttrace.instrument()\n"
        "trace.get_tracer_provider().shutdown()",
    )

    finding = problems(doctor("--json", "--endpoint", receiver.url, path))["provider"]

    assert "was shut down" in finding["what"]


def test_a_provider_that_is_not_the_one_we_joined_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path,
        "import agenttrace\nfrom opentelemetry import trace\n"
        "trace.set_tracer_provider(trace.NoOpTracerProvider())\nagenttrace.instrument()",
    )

    finding = problems(doctor("--json", "--endpoint", receiver.url, path))["provider"]

    assert "is not the one AgentTrace joined" in finding["what"]


def test_leaving_by_os_exit_is_a_missing_flush(receiver: Collector, tmp_path: Path) -> None:
    path = program(tmp_path, "import agenttrace, os\nagenttrace.instrument()\nos._exit(0)")

    finding = problems(doctor("--json", "--endpoint", receiver.url, path))["flush"]

    assert "os._exit(0)" in finding["what"]
    assert finding["mend"].startswith("agenttrace.flush()")


def test_a_batch_processor_that_nobody_flushes_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path,
        "import agenttrace\nfrom opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
        "provider = TracerProvider(shutdown_on_exit=False)\n"
        "provider.add_span_processor(BatchSpanProcessor(agenttrace.OTLPExporter()))\n"
        "trace.set_tracer_provider(provider)",
    )

    finding = problems(doctor("--json", "--endpoint", receiver.url, path))["flush"]

    assert "BatchSpanProcessor is never flushed" in finding["what"]


def test_an_exporter_that_sends_the_same_spans_to_the_same_place_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path,
        "import agenttrace\nfrom opentelemetry import trace\n"
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n"
        "trace.set_tracer_provider(provider)\nagenttrace.instrument()",
    )

    done = doctor("--json", path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert "OTLPSpanExporter sends every span" in problems(done)["provider"]["what"]
    assert "OTLPSpanExporter sends every span" in done.stderr


def test_two_instrumentations_of_one_framework_are_found(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(
        tmp_path,
        "import agenttrace\nagenttrace.instrument(frameworks=['langgraph'])\n"
        "import langgraph.graph\n"
        "from openinference.instrumentation.langchain import LangChainInstrumentor\n"
        "LangChainInstrumentor().instrument()",
    )

    finding = problems(doctor("--json", "--endpoint", receiver.url, path))["instrumentations"]

    assert "openinference.instrumentation.langchain captures langgraph as well" in finding["what"]
    assert "LangChainInstrumentor().instrument()" in finding["mend"]


def test_another_instrumentation_that_is_only_installed_is_a_note() -> None:
    notes = {finding.mend: finding.level for finding in checkup.rivals_installed()}

    assert notes["pip uninstall openinference-instrumentation-langchain"] == "note"


def test_langsmiths_own_spans_are_a_second_instrumentation(
    provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import langgraph.graph  # noqa: F401

    monkeypatch.setenv("LANGSMITH_OTEL_ENABLED", "true")
    agenttrace.instrument(
        exporter=InMemoryExporter(), tracer_provider=provider, frameworks=["langgraph"]
    )
    try:
        [finding] = checkup.rivals_active()
    finally:
        agenttrace.uninstrument()

    assert finding.mend == "unset LANGSMITH_OTEL_ENABLED"


def distribution(folder: Path, name: str, version: str, *requires: str, plugin: str = "") -> None:
    """Install a distribution that has metadata only."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Requires-Dist: {line}" for line in requires]
    extras = ["Provides-Extra: framework"]
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*head, *extras, *lines, ""]))
    if plugin:
        (info / "entry_points.txt").write_text(f"[agenttrace]\n{plugin} = {plugin}\n")


def test_a_framework_outside_the_supported_range_is_found(
    receiver: Collector, tmp_path: Path
) -> None:
    distribution(
        tmp_path, "agenttrace-fancy", "0.1", 'fancy>=2.0,<3; extra == "framework"', plugin="fancyp"
    )
    distribution(tmp_path, "fancy", "1.4")
    (tmp_path / "fancyp.py").write_text("")

    finding = problems(doctor("--json", "--endpoint", receiver.url, path=tmp_path))["versions"]

    assert finding["what"] == "fancy 1.4 is installed; agenttrace-fancy works with <3,>=2.0"
    assert finding["mend"] == "pip install 'fancy<3,>=2.0'"


def test_a_missing_dependency_of_a_plugin_is_found(receiver: Collector, tmp_path: Path) -> None:
    distribution(
        tmp_path, "agenttrace-fancy", "0.1", "not-there-at-all>=1", "elsewhere; python_version<'3'",
        plugin="fancyp",
    )  # fmt: skip
    (tmp_path / "fancyp.py").write_text("")

    finding = problems(doctor("--json", "--endpoint", receiver.url, path=tmp_path))["versions"]

    assert "needs not-there-at-all, which is not installed" in finding["what"]


def test_a_broken_plugin_is_found(receiver: Collector, tmp_path: Path) -> None:
    distribution(tmp_path, "agenttrace-fancy", "0.1", plugin="fancyp")
    (tmp_path / "fancyp.py").write_text("raise RuntimeError('half installed')")

    finding = problems(doctor("--json", "--endpoint", receiver.url, path=tmp_path))["plugins"]

    assert "'fancyp' (agenttrace-fancy 0.1) is broken: RuntimeError" in finding["what"]


def test_a_framework_that_nothing_captures_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from agenttrace import plugins

    monkeypatch.setattr(plugins, "entry_points", lambda group: [])

    found = {finding.mend for finding in checkup.installed() if finding.check == "plugins"}

    assert "pip install agenttrace-langgraph" in found


def test_a_program_that_fails_is_reported_and_still_looked_at(
    receiver: Collector, tmp_path: Path
) -> None:
    path = program(tmp_path, "import agenttrace\nagenttrace.instrument()\n1 / 0")

    done = doctor("--json", "--endpoint", receiver.url, path)

    checks = {f["check"] for f in json.loads(done.stdout)["findings"]}
    assert "program" in checks
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--endpoint"], ["no_such.py"]])
def test_a_command_line_that_makes_no_sense_says_why(arguments: list[str]) -> None:
    done = doctor(*arguments)

    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_no_error() -> None:
    assert doctor("-h").returncode == 0


def test_a_process_can_be_examined_from_within(provider: TracerProvider) -> None:
    from agenttrace import doctor as module

    findings: list[Any] = module.examine_process()

    assert findings[0].check == "provider"
