"""Record the model calls of agents, selectors and orchestrators: `create` and `create_stream`."""

from collections.abc import Mapping, Sequence
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult
from opentelemetry.trace import SpanKind

from agenttrace import payload, semconv
from agenttrace_autogen import answers, llm_messages, requests, watching
from agenttrace_autogen.patches import Patches
from agenttrace_autogen.recording import Call, Recorder, current

_PROVIDERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure": "azure.ai.inference",
    "ollama": "ollama",
    "llama_cpp": "llama_cpp",
    "semantic_kernel": "semantic_kernel",
}


def install(patches: Patches, recorder: Recorder) -> None:
    """Watch every model client class there is and will be."""

    def begin(client: Any, messages: Any = (), *_: Any, **options: Any) -> ModelCall | None:
        return ModelCall.begin(recorder, client, messages, options)

    coroutine, generator = watching.coroutine, watching.generator
    patches.cover(
        ChatCompletionClient,
        {
            "create": lambda original: coroutine(recorder, begin)(answers.model_call(original)),
            "create_stream": lambda original: generator(recorder, begin)(
                answers.model_stream(original)
            ),
        },
    )


class ModelCall(watching.Step):
    """One call of one model."""

    scope: Call

    @classmethod
    def begin(
        cls, recorder: Recorder, client: Any, messages: Any, options: Mapping[str, Any]
    ) -> "ModelCall | None":
        """Start the span; None for a client that another one (a cache, an adapter) calls."""
        model, provider = requests.model_of(client), provider_of(client)
        outer = current()
        if isinstance(outer, Call) and outer.facts.get("model_call"):
            _complete(outer, model, provider)
            return None
        span = recorder.span(
            f"chat {model}" if model else "chat",
            {
                semconv.GEN_AI_OPERATION_NAME: "chat",
                semconv.GEN_AI_REQUEST_MODEL: model,
                semconv.GEN_AI_PROVIDER_NAME: provider,
            },
            kind=SpanKind.CLIENT,
        )
        given = list(messages) if isinstance(messages, Sequence) else messages
        payload.defer(
            span,
            semconv.GEN_AI_INPUT_MESSAGES,
            payload.Lazy(lambda: llm_messages.of_input(given)),
        )
        asked = payload.Lazy(lambda: requests.of_model(given, options))
        payload.called(span, asked, agent=answers.who())
        facts = {"model_call": True, "model": model}
        return cls(recorder, recorder.begin(Call(span, outer, name=model or "", facts=facts)))

    def item(self, value: Any) -> None:
        """Streams end with the whole result."""
        if isinstance(value, CreateResult):
            self._answer(value)

    def result(self, value: Any) -> None:
        """Other calls return it."""
        if isinstance(value, CreateResult):
            self._answer(value)

    def _answer(self, result: CreateResult) -> None:
        span = self.scope.span
        span.set_attribute(semconv.GEN_AI_RESPONSE_FINISH_REASONS, [str(result.finish_reason)])
        usage = result.usage
        # Clients that were not told the usage (streaming without include_usage) report 0 and 0.
        if usage is not None and (usage.prompt_tokens or usage.completion_tokens):
            span.set_attribute(semconv.GEN_AI_USAGE_INPUT_TOKENS, usage.prompt_tokens)
            span.set_attribute(semconv.GEN_AI_USAGE_OUTPUT_TOKENS, usage.completion_tokens)
        payload.defer(
            span,
            semconv.GEN_AI_OUTPUT_MESSAGES,
            payload.Lazy(lambda: llm_messages.of_output(result)),
        )
        payload.answered(span, None, result.model_dump_json)


def _complete(call: Call, model: str | None, provider: str | None) -> None:
    if model and not call.facts.get("model"):
        call.facts["model"] = model
        call.span.update_name(f"chat {model}")
        call.span.set_attribute(semconv.GEN_AI_REQUEST_MODEL, model)
        if provider:
            call.span.set_attribute(semconv.GEN_AI_PROVIDER_NAME, provider)


def provider_of(client: Any) -> str | None:
    """Who serves the model, by the GenAI conventions' names; None for clients of the app."""
    if type(client).__name__.startswith("AzureOpenAI"):
        return "azure.ai.openai"
    for cls in type(client).__mro__:
        parts = cls.__module__.split(".")
        if parts[:2] == ["autogen_ext", "models"] and len(parts) > 2:
            return _PROVIDERS.get(parts[2])
    return None
