"""A model as a judge, behind a loopback server that answers what it is told."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agenttrace.hookspecs import hookimpl
from agenttrace.models import FailureAnnotation, Trace
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.testing import agent, build, llm, message, raw_spans, tool, workflow
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.decode import decode
from agenttrace_server.encode import encode_json
from agenttrace_server.judge import CLASSIFIER, Judge, Terms, terms
from agenttrace_server.judge.transcript import transcript
from agenttrace_server.mast.modes import MODES, mode_found
from agenttrace_server.settings import Settings
from agenttrace_server.store import Analysis, Correction, Store, TraceQuery
from agenttrace_server.store.sql import open_store
from support.chat import Chat, chat_server, completion, failures, named, refusal
from support.server import RunningServer, running_server

WAIT_SECONDS = 60.0
BUILTIN = Path(__file__).parents[1] / "captures" / "autogen-0.7.5-builtin-early-exit.json"
CLAIM = "I ran all forty tests and they passed"
TEAM = workflow(
    "team",
    agent("planner", llm("a plan"), sends=message("coder", "Write it, and run the forty tests.")),
    agent(
        "coder",
        tool("pytest", input="tests", output="collected 0 items, nothing ran"),
        sends=message("planner", f"{CLAIM}.", type="result"),
    ),
    input="Write a parser with tests",
)
FALSE = {"step": 3, "mode": "3.3", "quote": CLAIM, "explanation": "No test ran."}


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chat_server() as chat:
        yield chat


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'judge.db'}")
    yield store
    store.close()


@pytest.fixture
def ask(chat: Chat, kept: Store) -> Callable[..., list[FailureAnnotation]]:
    """Have a trace judged on these terms; return what is found once the model has answered."""

    def ask(trace: Trace, **more: Any) -> list[FailureAnnotation]:
        given: dict[str, Any] = {
            "url": chat.url,
            "model": "local",
            "prices": "1,1",
            "threads": 1,
            "settle_seconds": 0,
        } | more
        judge = Judge(Terms(**given), kept)
        stored(kept, trace)
        assert list(judge.findings(told(trace))) == []
        wait(lambda: judge.idle)
        judge.stop()
        return list(judge.findings(told(trace)))

    return ask


def told(trace: Trace, plugins: Plugins | None = None) -> Trace:
    """The trace with its agents and messages."""
    found = analyse(trace, plugins or Plugins())
    return Trace(trace.trace_id, trace.spans, found.agents, found.messages)


def stored(store: Store, trace: Trace) -> None:
    store.write(trace.spans)
    for claimed in store.claim(10, 0):
        store.save(claimed, analyse(trace, Plugins()))


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


Ask = Callable[..., list[FailureAnnotation]]


def test_nothing_is_judged_unless_a_model_is_named() -> None:
    assert terms(Settings()) is None
    assert terms(Settings(judge_url="http://127.0.0.1:1/v1")) is None


def test_a_finding_names_mode_agent_and_message_and_quotes_its_proof(chat: Chat, ask: Ask) -> None:
    chat.answers = [failures(FALSE)]
    trace = told(build(TEAM))

    [found] = ask(build(TEAM))

    assert (found.mode, found.subcategory) == ("3.3", "incorrect_verification")
    assert (found.classifier, found.agent) == (CLASSIFIER, "coder")
    assert found.message_id == next(m.message_id for m in trace.messages if CLAIM in m.content)
    assert (found.evidence, found.explanation) == (CLAIM, "No test ran.")
    [body] = chat.asked
    assert body["response_format"]["json_schema"]["strict"] is True
    assert all(mode in body["messages"][0]["content"] for mode in MODES)
    assert "[2] tool pytest gave back: collected 0 items" in body["messages"][1]["content"]


def test_a_quote_that_is_not_there_costs_the_finding(chat: Chat, ask: Ask) -> None:
    invented = {"mode": "1.1", "quote": "I will not write any tests at all"}
    too_short = {"mode": "1.2", "quote": "ran"}
    of_the_user = {"mode": "2.2", "quote": "Write a parser with tests"}
    elsewhere = {"mode": "2.6", "quote": "I ran all\n forty   tests", "step": 1}
    unknown = {"mode": "9.9", "quote": CLAIM}
    chat.answers = [failures(invented, too_short, of_the_user, elsewhere, unknown)]

    found = ask(build(TEAM))

    assert [(one.mode, one.agent) for one in found] == [("2.6", "coder")]


def test_the_key_is_sent_and_a_redirect_is_not_followed(chat: Chat, ask: Ask) -> None:
    with chat_server() as elsewhere:
        chat.answers = [refusal(307, location=f"{elsewhere.url}/chat/completions")]

        found = ask(build(TEAM), api_key="secret")

        assert found == []
        assert chat.headers[0]["authorization"] == "Bearer secret"
        assert elsewhere.asked == []


def test_a_busy_model_is_asked_again(chat: Chat, ask: Ask, kept: Store) -> None:
    chat.answers = [refusal(429, retry_after="0"), refusal(503, retry_after="0"), failures(FALSE)]

    assert [one.mode for one in ask(build(TEAM))] == ["3.3"]
    assert kept.judge_use().calls == 1


def test_a_server_that_knows_no_schema_is_asked_without(chat: Chat, ask: Ask) -> None:
    chat.answers = [
        lambda asked: refusal(400) if "json_schema" in str(asked) else completion("?"),
        lambda asked: refusal(400) if "json_schema" in str(asked) else completion("?"),
        completion(f"```json\n{named(FALSE)}\n```"),
    ]

    assert [one.mode for one in ask(build(TEAM))] == ["3.3"]
    assert chat.asked[-1]["response_format"] == {"type": "json_object"}


def test_an_answer_without_structure_is_read_as_far_as_it_goes(chat: Chat, ask: Ask) -> None:
    loose = {**FALSE, "mode": "3.3 Incorrect verification", "step": "3", "severity": "medium"}
    wrong = {**FALSE, "mode": "1.1", "severity": "very bad"}
    chat.answers = [completion(f"<think>{{hm}}</think>Here:\n{named(loose, wrong)}\nDone.")]

    assert [one.mode for one in ask(build(TEAM))] == ["3.3"]


def test_an_answer_that_cannot_be_read_is_asked_for_once_more(chat: Chat, ask: Ask) -> None:
    chat.answers = [completion("I think all is well."), failures(FALSE)]

    assert [one.mode for one in ask(build(TEAM))] == ["3.3"]


def test_a_model_that_does_not_answer_leaves_the_run_unjudged(
    chat: Chat, ask: Ask, kept: Store, caplog: pytest.LogCaptureFixture
) -> None:
    chat.answers = [refusal(401), failures(FALSE)]

    assert ask(build(TEAM)) == []

    assert "answered 401 for local; check AGENTTRACE_JUDGE_" in caplog.text
    assert kept.judge_use().calls == 0
    assert "answered 401 for local" in str(kept.judge_use().error)
    assert [one.mode for one in ask(build(TEAM))] == ["3.3"]
    assert (kept.judge_use().calls, kept.judge_use().error) == (1, None)


def test_a_run_is_judged_once_for_what_was_said_in_it(chat: Chat, ask: Ask, kept: Store) -> None:
    chat.answers = [failures(FALSE)]
    ask(build(TEAM))

    again = Judge(Terms(url=chat.url, model="local", prices="1,1"), kept)

    assert [one.mode for one in again.findings(told(build(TEAM)))] == ["3.3"]
    assert len(chat.asked) == 1
    other = Judge(Terms(url=chat.url, model="another", prices="1,1"), kept)
    assert list(other.findings(told(build(TEAM)))) == []
    wait(lambda: len(chat.asked) == 2)
    other.stop()


def test_a_run_that_is_not_over_is_not_judged(chat: Chat, kept: Store) -> None:
    trace = told(build(TEAM))
    running = tuple(span for span in trace.spans if span.parent_id is not None)
    judge = Judge(Terms(url=chat.url, model="local", prices="1,1"), kept)

    assert list(judge.findings(Trace(trace.trace_id, running, trace.agents, trace.messages))) == []
    assert judge.idle


def test_what_it_costs_is_kept_and_capped(
    chat: Chat, ask: Ask, kept: Store, caplog: pytest.LogCaptureFixture
) -> None:
    chat.answers = [failures(FALSE, sent=900_000, made=100_000)]
    ask(build(TEAM), prices="2,12", usd_per_day=3.0)
    other = build(TEAM, trace_id="cd" * 16)

    assert ask(other, prices="2,12", usd_per_day=3.0) == []

    assert kept.judge_use().cost_usd == pytest.approx(3.0)
    assert len(chat.asked) == 1
    assert "would cost more than $3.0 in 24 hours" in caplog.text


def test_a_model_of_unknown_price_is_not_asked(
    chat: Chat, kept: Store, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = Terms(url=chat.url, model="our-own-7b")
    judge = Judge(unknown, kept)

    assert list(judge.findings(told(build(TEAM)))) == []

    assert judge.idle
    assert unknown.problem
    assert unknown.problem in caplog.text
    assert Terms(url=chat.url, model="gpt-4o").problem is None
    with pytest.raises(ValueError, match="not two prices"):
        Settings(judge_prices="free")


def test_a_long_run_is_shown_in_windows_that_overlap(chat: Chat, ask: Ask) -> None:
    turns = [
        agent(name, sends=message(other, f"Turn {number}: {name} goes on. {'word ' * 60}"))
        for number in range(40)
        for name, other in [("ann", "bob") if number % 2 else ("bob", "ann")]
    ]
    trace = build(workflow("talk", *turns, input="Talk for long"))
    last = {"step": 40, "mode": "1.5", "quote": "Turn 39: ann goes on."}
    chat.answers = [failures() for _ in range(40)]
    steps = transcript(told(trace)).steps

    ask(trace, window_tokens=1_000)

    shown = [body["messages"][1]["content"] for body in chat.asked]
    assert len(shown) > 2
    assert all(any(f"[{n}] {step.head}" in text for text in shown) for n, step in enumerate(steps))
    assert all("Talk for long" in text for text in shown)
    assert all(len(text) < 4 * 1_000 + 500 for text in shown)
    for before, after in itertools.pairwise(shown):
        assert set(before.splitlines()[1:-1]) & set(after.splitlines()[3:])
    chat.asked.clear()
    chat.answers = [failures(last) for _ in range(40)]
    assert len(ask(build(workflow("talk", *turns, input="Talk for long"), trace_id="cd" * 16))) == 1


def test_the_same_found_by_a_rule_and_by_the_judge_is_one_finding(
    chat: Chat, ask: Ask, kept: Store
) -> None:
    chat.answers = [failures(FALSE)]
    ask(build(TEAM))
    plugins = Plugins()
    plugins.register(Rule(), "rule")
    plugins.register(Judge(Terms(url=chat.url, model="local", prices="1,1"), kept), "judge")

    [found] = analyse(build(TEAM), plugins).failures

    assert (found.classifier, found.also_by) == ("agenttrace.mast", (CLASSIFIER,))
    assert found.confidence > 0.6


def test_reviews_move_how_sure_the_judge_is(chat: Chat, ask: Ask, kept: Store) -> None:
    chat.answers = [failures(FALSE), failures(FALSE)]
    [first] = ask(build(TEAM))
    for claimed in kept.claim(10, 0):
        kept.save(claimed, Analysis(failures=(first,)))
    kept.review(first.annotation_id, "rejected", "me", Correction())

    [later] = ask(build(TEAM, trace_id="cd" * 16))

    assert later.confidence == pytest.approx(0.6 * 4 / 5)


def test_the_server_shows_that_the_judge_does_not_answer(chat: Chat) -> None:
    chat.answers = [refusal(401)]
    asked = {"judge_url": chat.url, "judge_model": "local", "judge_prices": "1,2"}
    with running_server(**asked) as server:
        server.post(encode_json(raw_spans(TEAM)))

        def problem() -> Any:
            return server.get("/api/failures/agreement")["judge"]["problem"]

        wait(lambda: problem() is not None)
        assert problem().startswith("The judge local did not answer: ")
        assert "check AGENTTRACE_JUDGE_" in problem()


def test_the_server_shows_what_the_judge_found_and_what_it_cost(chat: Chat) -> None:
    chat.answers = [failures(FALSE, sent=1_000_000, made=50_000)]
    spans = raw_spans(TEAM)
    trace_id = spans[0].trace_id
    asked = {"judge_url": chat.url, "judge_model": "local", "judge_prices": "1,2"}
    with running_server(**asked) as server:
        server.post(encode_json(spans))

        wait(lambda: judged(server, trace_id) != [])

        server.wait_analysed(trace_id)
        [found] = judged(server, trace_id)
        assert (found["mode"], found["evidence"], found["shown"]) == ("3.3", CLAIM, True)
        use = server.get("/api/failures/agreement")["judge"]
        assert (use["model"], use["calls"], use["cap_usd"]) == ("local", 1, 5.0)
        assert use["cost_usd"] == pytest.approx(1.1)
        assert use["problem"] is None
        assert "judge" in [plugin["name"] for plugin in server.get("/api/plugins")["items"]]
        again = server.client.post(f"/api/traces/{trace_id}/classify?all=true").json()["items"]
        assert CLASSIFIER in {name for one in again for name in [one["classifier"]]}
        assert len(chat.asked) == 1


def test_a_run_recorded_as_many_traces_is_judged_once(chat: Chat, kept: Store) -> None:
    decoded = decode(BUILTIN.read_bytes(), "application/json")
    plugins = load_plugins()
    kept.write(normalize(decoded.spans, plugins))
    judge = Judge(Terms(url=chat.url, model="local", prices="1,1", settle_seconds=0), kept)
    while claimed := kept.claim(100, 0):
        for one in claimed:
            trace = kept.trace(one.trace_id)
            assert trace is not None
            kept.save(one, analyse(trace, plugins))
    parts = kept.traces(TraceQuery(joined=False)).items
    [run] = kept.traces(TraceQuery()).items

    for summary in [*parts, run]:
        trace = kept.trace(summary.trace_id)
        assert trace is not None
        assert list(judge.findings(told(trace, plugins))) == []
    wait(lambda: judge.idle)

    assert len(parts) > 1
    assert len(chat.asked) == 1


def judged(server: RunningServer, trace_id: str) -> list[dict[str, Any]]:
    items = server.get(f"/api/traces/{trace_id}/failures", all=True)["items"]
    return [one for one in items if CLASSIFIER in (one["classifier"], *one["also_by"])]


class Rule:
    """A plugin that finds what the judge finds, as the rules would."""

    @hookimpl
    def agenttrace_classifiers(self) -> list[Any]:
        return [self.claims]

    def claims(self, trace: Trace) -> Iterator[FailureAnnotation]:
        claim = next(m for m in trace.messages if CLAIM in m.content)
        yield mode_found(
            trace, "3.3", evidence=CLAIM, explanation="No test.", confidence=0.6, message=claim
        )
