import json
from typing import Any

import pytest

from agenttrace import genai
from agenttrace.models import Scope, Span, SpanEvent
from agenttrace.testing import check_normalizer, raw_span
from support import captures


def read(name: str = "step", scope: str = "app", **fields: Any) -> Span:
    return genai.read(raw_span(name, scope=scope, **fields))


def with_attributes(name: str = "step", **attributes: Any) -> Span:
    return read(name, attributes={key.replace("__", "."): v for key, v in attributes.items()})


def otel(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def messages(span_text: str | None) -> list[dict[str, Any]]:
    return json.loads(span_text or "[]")


class TestKind:
    @pytest.mark.parametrize(
        ("attributes", "kind"),
        [
            ({"gen_ai.operation.name": "chat"}, "llm"),
            ({"gen_ai.operation.name": "generate_content"}, "llm"),
            ({"gen_ai.operation.name": "text_completion"}, "llm"),
            ({"gen_ai.operation.name": "embeddings"}, "llm"),
            ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
            ({"gen_ai.operation.name": "create_agent"}, "other"),
            ({"gen_ai.operation.name": "execute_tool"}, "tool"),
            ({"gen_ai.operation.name": "invoke_workflow"}, "workflow"),
            ({"gen_ai.operation.name": "retrieval"}, "retriever"),
            ({"openinference.span.kind": "LLM"}, "llm"),
            ({"openinference.span.kind": "AGENT"}, "agent"),
            ({"openinference.span.kind": "TOOL"}, "tool"),
            ({"openinference.span.kind": "RETRIEVER"}, "retriever"),
            ({"openinference.span.kind": "RERANKER"}, "retriever"),
            ({"openinference.span.kind": "EMBEDDING"}, "llm"),
            ({"openinference.span.kind": "CHAIN"}, "workflow"),
            ({"openinference.span.kind": "GUARDRAIL"}, "other"),
            ({"traceloop.span.kind": "workflow"}, "workflow"),
            ({"traceloop.span.kind": "agent"}, "agent"),
            ({"traceloop.span.kind": "task"}, "other"),
            ({"traceloop.span.kind": "tool"}, "tool"),
            ({"llm.request.type": "chat"}, "llm"),
            ({"ai.operationId": "ai.generateText.doGenerate"}, "llm"),
            ({"ai.operationId": "ai.generateText"}, "other"),
            ({"ai.operationId": "ai.toolCall"}, "tool"),
            ({"mcp.method.name": "tools/call"}, "tool"),
            ({"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}, "llm"),
            ({"gen_ai.tool.name": "search"}, "tool"),
            ({"pydantic_ai.all_messages": "[]"}, "agent"),
            ({"agenttrace.kind": "handoff"}, "handoff"),
            ({"agenttrace.kind": "nonsense"}, "other"),
            ({"gen_ai.operation.name": "something_new"}, "other"),
            ({"http.request.method": "POST"}, "other"),
            ({}, "other"),
        ],
    )
    def test_it_is_what_the_span_says(self, attributes: dict[str, Any], kind: str) -> None:
        assert read(attributes=attributes).kind == kind

    def test_our_own_word_counts_most(self) -> None:
        said = {"agenttrace.kind": "workflow", "gen_ai.operation.name": "chat"}

        assert read(attributes=said).kind == "workflow"

    def test_openllmetry_marks_tasks_as_invoked_agents_but_they_are_tasks(self) -> None:
        said = {"traceloop.span.kind": "task", "gen_ai.operation.name": "invoke_agent"}

        assert read(attributes=said).kind == "other"

    def test_a_chain_inside_something_is_no_workflow(self) -> None:
        span = read(attributes={"openinference.span.kind": "CHAIN"}, parent_id="ab" * 8)

        assert span.kind == "other"

    def test_openai_agents_handoffs_and_runs_are_told_from_tools_and_agents(self) -> None:
        scope = "openinference.instrumentation.openai_agents"
        run = read("Agent workflow", scope, attributes={"openinference.span.kind": "AGENT"})
        said = {
            "openinference.span.kind": "AGENT",
            "llm.system": "openai",
            "graph.node.id": "triage",
        }
        agent = read("triage", scope, attributes=said, parent_id="ab" * 8)
        over = read(
            "handoff to billing",
            scope,
            attributes={"openinference.span.kind": "TOOL", "llm.system": "openai"},
            parent_id="ab" * 8,
        )

        assert (run.kind, run.agent) == ("workflow", None)
        assert (agent.kind, agent.agent) == ("agent", "triage")
        assert over.kind == "handoff"
        assert {run.framework, agent.framework} == {"openai-agents"}


class TestAgent:
    @pytest.mark.parametrize(
        ("name", "attributes", "agent"),
        [
            (
                "x",
                {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
                "planner",
            ),
            ("invoke_agent planner", {"gen_ai.operation.name": "invoke_agent"}, "planner"),
            ("x", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": "a1"}, "a1"),
            ("invoke_agent", {"gen_ai.operation.name": "invoke_agent"}, None),
            ("x", {"openinference.span.kind": "AGENT", "agent.name": "planner"}, "planner"),
            ("x", {"openinference.span.kind": "AGENT", "graph.node.id": "planner"}, "planner"),
            ("CodeAgent.run", {"openinference.span.kind": "AGENT"}, "CodeAgent"),
            ("my agent", {"openinference.span.kind": "AGENT"}, "my agent"),
            ("planner.agent", {"traceloop.span.kind": "agent"}, "planner"),
            ("x", {"traceloop.span.kind": "agent", "traceloop.entity.name": "planner"}, "planner"),
            ("agent run", {"pydantic_ai.all_messages": "[]", "agent_name": "support"}, "support"),
            ("x", {"gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "planner"}, None),
            ("x", {"gen_ai.operation.name": "chat", "gen_ai.agent.name": "planner"}, "planner"),
            ("x", {"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "team"}, None),
            ("x", {"openinference.span.kind": "CHAIN", "graph.node.id": "node"}, None),
        ],
    )
    def test_it_is_who_the_span_names(
        self, name: str, attributes: dict[str, Any], agent: str | None
    ) -> None:
        assert read(name, attributes=attributes).agent == agent

    def test_the_role_comes_with_it(self) -> None:
        said = {"gen_ai.agent.description": "plans", "agenttrace.agent.role": "Planner"}

        assert read(attributes=said).agent_role == "Planner"

    def test_a_smolagents_managed_agent_is_named_in_its_prompt(self) -> None:
        task = "You're a helpful agent named 'search_agent'.\nYou have been submitted this task"
        said = {"openinference.span.kind": "AGENT", "smolagents.task": task}
        scope = "openinference.instrumentation.smolagents"

        span = read("ToolCallingAgent.run", scope, attributes=said)

        assert (span.agent, span.framework) == ("search_agent", "smolagents")

    def test_quoting_another_agents_prompt_does_not_make_one_that_agent(self) -> None:
        said = {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "what are the trends?",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.content": "You're a helpful agent named 'searcher'.",
        }

        assert read(attributes=said).agent is None


class TestFramework:
    @pytest.mark.parametrize(
        ("scope", "attributes", "framework"),
        [
            ("agenttrace.langgraph", {}, "langgraph"),
            ("openinference.instrumentation.crewai", {}, "crewai"),
            ("autogen-core", {}, "autogen"),
            ("pydantic-ai", {}, "pydantic-ai"),
            ("opentelemetry.instrumentation.openai_agents", {}, "openai-agents"),
            (
                "opentelemetry.instrumentation.langchain",
                {"gen_ai.provider.name": "langgraph"},
                "langgraph",
            ),
            ("openinference.instrumentation.openai", {}, None),
            ("my.app", {"agenttrace.framework": "mine"}, "mine"),
        ],
    )
    def test_it_comes_from_the_span_or_its_scope(
        self, scope: str, attributes: dict[str, Any], framework: str | None
    ) -> None:
        assert read(scope=scope, attributes=attributes).framework == framework


class TestModelCall:
    @pytest.mark.parametrize(
        "attributes",
        [
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 3,
                "gen_ai.usage.cost": 0.25,
                "gen_ai.conversation.id": "s1",
                "gen_ai.system_instructions": '[{"type": "text", "content": "be brief"}]',
                "gen_ai.input.messages": json.dumps([otel("user", "hi")]),
                "gen_ai.output.messages": json.dumps([otel("assistant", "ho")]),
            },
            {
                "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.prompt_tokens": "12",
                "gen_ai.usage.completion_tokens": 3.0,
                "gen_ai.usage.cost": "0.25",
                "session.id": "s1",
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "system",
                "gen_ai.prompt.0.content": "be brief",
                "gen_ai.prompt.1.role": "user",
                "gen_ai.prompt.1.content": "hi",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "ho",
                "gen_ai.completion.0.finish_reason": "stop",
            },
            {
                "openinference.span.kind": "LLM",
                "llm.provider": "openai",
                "llm.model_name": "gpt-4o",
                "llm.token_count.prompt": 12,
                "llm.token_count.completion": 3,
                "llm.token_count.total": 15,
                "llm.cost.total": 0.25,
                "session.id": "s1",
                "llm.input_messages.0.message.role": "system",
                "llm.input_messages.0.message.content": "be brief",
                "llm.input_messages.1.message.role": "user",
                "llm.input_messages.1.message.contents.0.message_content.type": "text",
                "llm.input_messages.1.message.contents.0.message_content.text": "hi",
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.content": "ho",
                "input.value": '{"messages": []}',
                "output.value": '{"choices": []}',
            },
        ],
        ids=["otel", "openllmetry", "openinference"],
    )
    def test_every_convention_says_the_same(self, attributes: dict[str, Any]) -> None:
        span = read(attributes=attributes)

        assert (span.kind, span.model, span.provider) == ("llm", "gpt-4o", "openai")
        assert (span.tokens_in, span.tokens_out, span.cost_usd) == (12, 3, 0.25)
        assert span.session == "s1"
        assert messages(span.input) == [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
        ]
        assert span.output == "ho"

    def test_messages_in_events_are_read_as_well(self) -> None:
        events = (
            SpanEvent("gen_ai.system.message", 1, {"content": "be brief"}),
            SpanEvent("gen_ai.user.message", 2, {"content": "hi"}),
            SpanEvent("gen_ai.choice", 3, {"index": 0, "message": {"content": "ho"}}),
        )

        span = read(attributes={"gen_ai.operation.name": "chat"}, events=events)

        assert [m["content"] for m in messages(span.input)] == ["be brief", "hi"]
        assert span.output == "ho"

    def test_the_oldest_events_are_read_as_well(self) -> None:
        events = (
            SpanEvent(
                "gen_ai.content.prompt", 1, {"gen_ai.prompt": '[{"role":"user","content":"hi"}]'}
            ),
            SpanEvent("gen_ai.content.completion", 2, {"gen_ai.completion": "ho"}),
        )

        span = read(attributes={"gen_ai.operation.name": "chat"}, events=events)

        assert (span.input, span.output) == ("hi", "ho")

    def test_details_that_came_as_a_log_event_count_like_attributes(self) -> None:
        details = {
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
            ],
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.request.model": "from the event",
        }
        event = SpanEvent("gen_ai.client.inference.operation.details", 1, details)

        span = read(
            attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "from the span"},
            events=(event,),
        )

        assert (span.input, span.tokens_in, span.model) == ("hi", 12, "from the span")
        assert "gen_ai.input.messages" not in span.attributes

    def test_tool_calls_keep_their_name_and_arguments(self) -> None:
        call = "llm.output_messages.0.message.tool_calls.0.tool_call"

        span = with_attributes(
            openinference__span__kind="LLM",
            llm__output_messages__0__message__role="assistant",
            **{
                f"{call}.id": "c1",
                f"{call}.function.name": "search",
                f"{call}.function.arguments": '{"q": "x"}',
            },
        )

        [message] = messages(span.output)
        assert message["tool_calls"] == [{"id": "c1", "name": "search", "arguments": {"q": "x"}}]

    def test_a_providers_own_request_and_response_are_understood(self) -> None:
        request = {
            "model": "m",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        }
        response = {
            "id": "1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ho"}}],
        }

        span = with_attributes(
            openinference__span__kind="LLM",
            input__value=json.dumps(request),
            output__value=json.dumps(response),
        )

        assert (span.input, span.output) == ("hi", "ho")

    def test_the_model_may_hide_in_the_invocation_parameters(self) -> None:
        parameters = '{"model": "gpt-4o", "temperature": 0}'

        assert with_attributes(llm__invocation_parameters=parameters).model == "gpt-4o"

    def test_a_framework_is_no_provider(self) -> None:
        said = {"gen_ai.provider.name": "langchain", "gen_ai.request.model": "unknown"}

        span = read(attributes=said)

        assert (span.provider, span.model) == (None, None)

    @pytest.mark.parametrize("odd", ["many", -1, True, float("nan"), None, [], "1e400"])
    def test_tokens_that_are_no_count_are_none(self, odd: Any) -> None:
        assert read(attributes={"gen_ai.usage.input_tokens": odd}).tokens_in is None


class TestTool:
    @pytest.mark.parametrize(
        ("name", "attributes"),
        [
            (
                "execute_tool search",
                {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.call.arguments": '{"q": "x"}',
                    "gen_ai.tool.call.result": "found",
                },
            ),
            (
                "t",
                {
                    "openinference.span.kind": "TOOL",
                    "tool.name": "search",
                    "tool.parameters": '{"type": "object"}',
                    "input.value": '{"q": "x"}',
                    "output.value": "found",
                },
            ),
            (
                "search.tool",
                {
                    "traceloop.span.kind": "tool",
                    "traceloop.entity.name": "search",
                    "traceloop.entity.input": '{"q": "x"}',
                    "traceloop.entity.output": "found",
                },
            ),
            (
                "running tool",
                {
                    "gen_ai.tool.name": "search",
                    "tool_arguments": '{"q": "x"}',
                    "tool_response": "found",
                },
            ),
            (
                "ai.toolCall",
                {
                    "ai.operationId": "ai.toolCall",
                    "ai.toolCall.name": "search",
                    "ai.toolCall.args": '{"q": "x"}',
                    "ai.toolCall.result": "found",
                },
            ),
        ],
        ids=["otel", "openinference", "openllmetry", "pydantic-ai", "vercel"],
    )
    def test_every_convention_says_the_same(self, name: str, attributes: dict[str, Any]) -> None:
        span = read(name, attributes=attributes)

        assert (span.kind, span.tool) == ("tool", "search")
        assert (span.input, span.output) == ('{"q": "x"}', "found")

    def test_openllmetrys_langchain_wrapping_is_taken_off(self) -> None:
        wrapped = '{"outputs": {"parts": ["a"]}, "kwargs": {"tags": ["graph:step:2"]}}'

        assert with_attributes(traceloop__entity__output=wrapped).output == '{"parts":["a"]}'

    def test_what_only_looks_wrapped_is_left_alone(self) -> None:
        own = '{"output": "mine", "score": 1}'

        assert with_attributes(output__value=own).output == own


class TestAgentRun:
    def test_pydantic_ai_keeps_the_whole_conversation_on_the_run(self) -> None:
        conversation = [
            {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
            {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {}}],
            },
            {"role": "user", "parts": [{"type": "tool_call_response", "id": "1", "result": "3"}]},
            {"role": "assistant", "parts": [{"type": "text", "content": "it is 3"}]},
        ]
        said = {
            "gen_ai.agent.name": "support",
            "model_name": "gpt-4o",
            "pydantic_ai.all_messages": json.dumps(conversation),
            "gen_ai.usage.input_tokens": 50,
        }

        span = read("agent run", "pydantic-ai", attributes=said)

        assert (span.kind, span.agent, span.framework) == ("agent", "support", "pydantic-ai")
        assert (span.input, span.output) == ("hi", "it is 3")

    def test_its_final_result_is_its_output(self) -> None:
        said = {"pydantic_ai.all_messages": "[]", "final_result": '{"x": 1}'}

        assert read(attributes=said).output == '{"x": 1}'

    def test_our_own_input_and_output_count_most(self) -> None:
        said = {
            "agenttrace.input": "in",
            "agenttrace.output": "out",
            "gen_ai.input.messages": '[{"role":"user","parts":[]}]',
            "output.value": "other",
        }

        span = read(attributes=said)

        assert (span.input, span.output) == ("in", "out")

    def test_a_retrieval_shows_its_documents(self) -> None:
        said = {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "q",
            "retrieval.documents.0.document.content": "one",
            "retrieval.documents.1.document.content": "two",
        }

        assert read(attributes=said).output == '["one","two"]'


class TestError:
    def exception(self, kind: str, message: str = "boom") -> SpanEvent:
        return SpanEvent("exception", 1, {"exception.type": kind, "exception.message": message})

    def test_it_is_the_recorded_exception(self) -> None:
        span = read(status="error", events=(self.exception("ValueError"),))

        assert (span.error, span.status) == ("ValueError: boom", "error")

    def test_without_an_exception_it_is_the_status_message(self) -> None:
        assert read(status="error", status_message="no luck").error == "no luck"
        assert read(status="error", attributes={"error.type": "timeout"}).error == "timeout"
        assert read(status="error").error == "error"

    def test_an_exception_without_a_status_is_an_error(self) -> None:
        assert read(events=(self.exception("ValueError"),)).error == "ValueError: boom"

    def test_a_span_that_says_it_is_fine_is_fine(self) -> None:
        assert read(status="ok", events=(self.exception("ValueError"),)).error is None

    @pytest.mark.parametrize(
        "kind",
        [
            "langgraph.errors.GraphInterrupt",
            "langgraph.errors.ParentCommand",
            "GeneratorExit",
            "asyncio.exceptions.CancelledError",
        ],
    )
    def test_control_flow_is_no_error(self, kind: str) -> None:
        for span in (
            read(status="error", events=(self.exception(kind),)),
            read(status="error", status_message=f"{kind}: x"),
            read(status="error", attributes={"error.type": kind}),
            read(events=(self.exception(kind),)),
            read(attributes={"error.type": kind}),
        ):
            assert (span.error, span.status) == (None, "unset")

    def test_a_real_error_next_to_control_flow_is_an_error(self) -> None:
        events = (self.exception("GeneratorExit"), self.exception("ValueError"))

        assert read(status="error", events=events).error == "ValueError: boom"

    def test_an_error_that_only_mentions_control_flow_is_an_error(self) -> None:
        assert read(status="error", status_message="not a GraphInterrupt").error is not None


def test_odd_values_never_raise() -> None:
    raws = [raw for name in captures.TRACES[::4] for raw in captures.load(name)[:2]]

    check_normalizer(genai.read, raws)


def test_every_real_span_is_read_without_a_change() -> None:
    for name in captures.TRACES:
        for raw in captures.load(name):
            span = genai.read(raw)

            assert (span.attributes, span.events, span.name) == (
                raw.attributes,
                raw.events,
                raw.name,
            )


def test_it_answers_for_every_scope() -> None:
    assert genai.agenttrace_normalizer(Scope("whatever")) is genai.read
