"""The demo's team fails exactly as its description says, and can run on any endpoint."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from support.langgraph_replays import Calls, Original, repeats_itself, rerun
from support.recorded import Recorded, causes, orphans, said

FILE = Path(__file__).parents[2] / "examples" / "research_team.py"

FIND = "Find Northwind Robotics' revenue growth in 2024."
GREW = "Northwind Robotics' revenue grew 18.0 % in 2024 (press release, 4 February 2025)."
COMPARE = "Compare the growth with the industry average for 2024."
ABOVE = "Northwind's 18.0 % is 7.0 percentage points above the industry average of 11.0 %."
OBJECTION = (
    "I object: the audited accounts show EUR 402.3 million after 371.9 million, that is 8.2 %, "
    "not 18.0 %. The press release counts Kestrel for the whole year. Northwind grew slower than "
    "its industry, so the conclusion is the wrong way round."
)


@pytest.fixture
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("research_team", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["research_team"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["research_team"]


def test_who_says_what_to_whom(
    run: Recorded, example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main([]) == 0

    assert said(run.trace) == [
        ("user", "supervisor", "task", example.QUESTION),
        ("supervisor", "researcher", "task", FIND),
        ("researcher", "supervisor", "result", GREW),
        ("supervisor", "analyst", "task", COMPARE),
        ("analyst", "supervisor", "result", ABOVE),
        (
            "supervisor",
            "critic",
            "task",
            "Check the growth figure against the audited accounts.",
        ),
        ("critic", "supervisor", "result", OBJECTION),
        ("supervisor", "researcher", "task", FIND),
        ("researcher", "supervisor", "result", GREW),
        ("supervisor", "analyst", "task", COMPARE),
        ("analyst", "supervisor", "result", ABOVE),
        (
            "supervisor",
            "writer",
            "task",
            "Write the final answer: the figure, its source, the comparison.",
        ),
        ("writer", "user", "result", f"Yes. {GREW} {ABOVE}"),
    ]
    assert causes(run.trace) == [(0, None), *((i, i - 1) for i in range(1, 13))]
    assert all(m.provenance == "observed" for m in run.trace.messages)
    assert capsys.readouterr().out.strip() == f"Yes. {GREW} {ABOVE}"


def test_its_agents_tools_and_tokens(run: Recorded, example: ModuleType) -> None:
    example.main([])

    found = {agent.name: agent for agent in run.trace.agents}
    assert {name: agent.tools for name, agent in found.items()} == {
        "supervisor": (),
        "researcher": ("search_reports",),
        "analyst": ("industry_average", "calculate"),
        "critic": ("read_accounts", "calculate"),
        "writer": (),
    }
    assert all(agent.models == ("scripted-1",) for agent in found.values())
    assert all(agent.tokens_in > 0 and agent.tokens_out > 0 for agent in found.values())
    assert found["critic"].role == (
        "You are the critic: you check claims against the audited accounts."
    )
    assert len(run.trace.spans) == 41
    assert orphans(run.trace) == []
    assert run.trace.roots[0].name == "invoke_workflow research-team"


def test_a_critic_that_is_heard_mends_the_answer(example: ModuleType) -> None:
    team = example.build_team(example.ScriptedModel(seconds=0))
    before = [
        HumanMessage(example.QUESTION),
        HumanMessage(FIND, name="supervisor"),
        HumanMessage(GREW, name="researcher"),
        HumanMessage(ABOVE, name="analyst"),
        HumanMessage("REJECTED. " + OBJECTION, name="critic"),
    ]

    answer = team.invoke({"messages": before}, {"recursion_limit": 60})["messages"][-1].text

    assert answer == (
        "No. Northwind Robotics' revenue grew 8.2 % in 2024, from EUR 371.9 to 402.3 million "
        "(audited accounts 2024). Northwind's 8.2 % is 2.8 percentage points below the industry "
        "average of 11.0 %. The critic confirmed the figure against the audited accounts."
    )


class Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint whose supervisor asks the researcher once, then the writer."""

    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append({"path": self.path, "key": self.headers["authorization"], **body})
        offered = {t["function"]["name"] for t in body.get("tools", ())}
        names = [m.get("name") for m in body["messages"]]
        message: dict[str, Any] = {"role": "assistant", "content": "It grew."}
        if "assign" in offered:
            to = "writer" if "researcher" in names else "researcher"
            message = self.calling("assign", {"to": to, "task": f"do it, {to}"})
        elif "search_reports" in offered and body["messages"][-1]["role"] != "tool":
            message = self.calling("search_reports", {"query": "growth"})
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = json.dumps({"model": "tiny-1", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @staticmethod
    def calling(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        function = {"name": name, "arguments": json.dumps(arguments)}
        wanted = {"id": "call_1", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [wanted]}

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    Endpoint.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_runs_on_an_openai_compatible_endpoint(
    run: Recorded, example: ModuleType, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    assert example.main(["--llm", endpoint, "--model", "tiny", "--question", "Did it grow?"]) == 0

    assert said(run.trace) == [
        ("user", "supervisor", "task", "Did it grow?"),
        ("supervisor", "researcher", "task", "do it, researcher"),
        ("researcher", "supervisor", "result", "It grew."),
        ("supervisor", "writer", "task", "do it, writer"),
        ("writer", "user", "result", "It grew."),
    ]
    assert {asked["path"] for asked in Endpoint.asked} == {"/v1/chat/completions"}
    assert {asked["key"] for asked in Endpoint.asked} == {"Bearer sk-test"}
    assert {asked["model"] for asked in Endpoint.asked} == {"tiny"}
    first = next(s for s in run.trace.spans if s.kind == "llm")
    assert (first.provider, first.tokens_in, first.tokens_out) == ("openai", 5, 2)
    assert first.attributes["gen_ai.response.model"] == "tiny-1"


def test_an_endpoint_that_does_not_answer_is_named(
    example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main(["--llm", "http://127.0.0.1:1/v1", "--model", "tiny"]) == 1

    assert "http://127.0.0.1:1/v1 does not answer" in capsys.readouterr().err


def test_an_endpoint_needs_a_model(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        example.main(["--llm", "http://127.0.0.1:1/v1"])

    assert "--llm needs --model NAME" in capsys.readouterr().err


@pytest.mark.parametrize("expression", ["__import__('os')", "2 ** 9999", "x + 1"])
def test_the_calculator_only_calculates(example: ModuleType, expression: str) -> None:
    with pytest.raises(ValueError, match="can be calculated"):
        example.calculate.invoke({"expression": expression})


def test_it_repeats_itself_from_every_checkpoint(run: Recorded, example: ModuleType) -> None:
    team = example.scripted_team()
    team.invoke({"messages": [("user", example.QUESTION)]}, {"recursion_limit": 60})

    assert repeats_itself(run, Original(run.trace), team, Calls()) >= 8


def test_a_critic_who_says_rejected_is_listened_to(run: Recorded, example: ModuleType) -> None:
    team = example.scripted_team()
    team.invoke({"messages": [("user", example.QUESTION)]}, {"recursion_limit": 60})
    original = Original(run.trace)
    after_critic = next(
        c for c in original.checkpoints if c.label == "before supervisor" and "I object" in c.state
    )

    output, replay = rerun(
        original,
        team,
        after_critic,
        {"messages/-1/content": "REJECTED: the accounts say 8.2 %"},
        live_tools="all",
    )

    assert output["messages"][-1].content != original.trace.messages[-1].content
    assert replay.counts["restored"] > 0
