import subprocess
import sys

import agenttrace

LISTING = """
import sys
import agenttrace
print(*sorted(sys.modules))
"""

HEAVY = ("opentelemetry", "pluggy", "google", "requests", "pydantic", "agenttrace_", "langgraph")


def test_importing_it_loads_no_sdk_no_exporter_and_no_plugin() -> None:
    modules = subprocess.run(
        [sys.executable, "-c", LISTING], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "agenttrace" in modules
    assert [module for module in modules if module.startswith(HEAVY)] == []


def test_reading_models_and_recording_by_hand_load_no_sdk() -> None:
    listing = LISTING.replace(
        "print", "agenttrace.Span, agenttrace.AgentTracer('x').tool(len)\nprint"
    )
    modules = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "opentelemetry.trace" in modules
    assert [m for m in modules if m.startswith("opentelemetry.sdk")] == []


def test_every_exported_name_is_there_and_says_what_it_is() -> None:
    for name in agenttrace.__all__:
        value = getattr(agenttrace, name)
        if name != "hookimpl":
            assert value.__doc__, name


def test_the_exported_names_are_sorted_and_are_what_dir_shows() -> None:
    assert agenttrace.__all__ == sorted(agenttrace.__all__)
    assert set(agenttrace.__all__) <= set(dir(agenttrace))


def test_it_tells_its_version() -> None:
    assert agenttrace.__version__[0].isdigit()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(agenttrace, "instrumnet")
