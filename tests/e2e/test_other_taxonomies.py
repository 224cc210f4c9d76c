"""Failures that nobody here has a name for: of an installed plugin, and of a judge."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from agenttrace.testing import agent, message, raw_spans, workflow
from agenttrace_server.encode import encode_json
from support.chat import Chat, chat_server, failures
from support.server import RunningServer, running_server

PROMISE = "I promise a full refund by tomorrow"
PLUGIN = """
from hashlib import sha256

from agenttrace.hookspecs import hookimpl
from agenttrace.models import FailureAnnotation


@hookimpl
def agenttrace_classifiers():
    return [promises]


def promises(trace):
    for said in trace.messages:
        if "promise" in said.content:
            yield FailureAnnotation(
                annotation_id=sha256(said.message_id.encode()).hexdigest()[:32],
                trace_id=trace.trace_id,
                mode="house.promise",
                category="house_rules",
                subcategory="promised_money",
                classifier="acme.house",
                span_id=said.span_id,
                message_id=said.message_id,
                agent=said.sender,
                severity="critical",
                confidence=0.9,
                evidence=said.content,
                explanation="Only the billing team may promise a refund.",
            )
"""


RUN = workflow(
    "refund",
    agent("desk", sends=message("billing", "What was the order number?")),
    agent("billing", sends=message("user", f"{PROMISE}.", type="result")),
    input="I want my money back",
)


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    with chat_server() as chat:
        yield chat


@pytest.fixture(scope="module")
def server(
    built_ui: None, chat: Chat, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server with a plugin that nobody here wrote, laid out as pip lays one out, and a judge."""
    site = tmp_path_factory.mktemp("site")
    write(site / "acme_house.py", PLUGIN)
    about = site / "acme_house-1.0.dist-info"
    write(about / "METADATA", "Metadata-Version: 2.1\nName: acme-house\nVersion: 1.0\n")
    write(about / "entry_points.txt", "[agenttrace]\nhouse = acme_house\n")
    asked = {"judge_url": chat.url, "judge_model": "a-model", "judge_prices": "1,1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        with running_server(**asked) as server:
            yield server


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")


def test_a_plugins_own_modes_are_shown_like_those_that_have_names(
    page: Page, server: RunningServer, chat: Chat
) -> None:
    vague = {"mode": "2.2", "quote": "What was the order number", "explanation": "It went on."}
    chat.answers = [failures(vague)]
    spans = raw_spans(RUN)
    server.post(encode_json(spans))
    server.wait_analysed(spans[0].trace_id)

    page.goto(f"{server.url}/traces/{spans[0].trace_id}?view=failures")
    panel = page.get_by_role("region", name="Failures")
    promised = panel.get_by_role("article", name="Promised money")
    expect(promised).to_contain_text(PROMISE)
    expect(promised).to_contain_text("acme.house")
    expect(promised).to_contain_text("billing")
    judged = panel.get_by_role("article", name="Failed to ask for clarification")
    expect(judged).to_contain_text("agenttrace.judge")
    promised.get_by_role("button", name="Confirm").click()
    expect(promised).to_contain_text("confirmed")

    page.goto(f"{server.url}/settings")
    agreement = page.get_by_role("table", name="Agreement by mode")
    expect(agreement.get_by_role("row", name=re.compile("Promised money.*acme"))).to_be_visible()
    expect(
        page.get_by_text("The judge a-model was asked 1 time in the last 24 hours")
    ).to_be_visible()

    page.goto(f"{server.url}/dashboard")
    page.get_by_label("Period").select_option("All time")
    over_time = page.get_by_role("img", name=re.compile("Failures found over time"))
    expect(over_time).to_be_visible()
    by_agent = page.get_by_role("table", name="Failures by")
    expect(by_agent.get_by_role("row", name=re.compile("billing.*Promised money"))).to_be_visible()

    by_agent.get_by_role("link", name="Promised money").click()
    expect(page.get_by_role("link", name=re.compile("refund"))).to_be_visible()
