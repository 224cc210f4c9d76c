"""The signs of trouble in spans: what an error text means, what an answer admits."""

import re
from collections.abc import Iterator

from agenttrace import chat
from agenttrace.models import Span, Trace

TIMEOUT = re.compile(
    r"\b[A-Z]\w*Timeout\w*|\bTimeout(?:Error|Exception|Expired)?\b(?=:|$)|\bDeadlineExceeded\b"
    r"|(?i:\btimed[ -]?out\b|\bdeadline[ _]?exceeded\b|\bexceeded max(?:imum)? execution time\b"
    r"|\b(?:request|connection|connect|read|gateway|operation|execution|call) time-?out\b"
    r"|\btime-?out (?:of|after|while|waiting|exceeded|expired|reached)\b)",
)
"""Names and words that Python, gRPC, httpx and the model providers use for "took too long"."""

OVERFLOW = re.compile(
    r"context_length_exceeded|ContextWindowExceeded|ContextOverflow|model_context_window_exceeded"
    r"|maximum context length|context (?:window|length|limit)s?\b.{0,40}\bexceed"
    r"|exceed\w*\b.{0,60}\bcontext (?:window|length|limit|size)"
    r"|(?:prompt|input) (?:is|was) too long|input length and `?max_tokens`? exceed"
    r"|too many (?:input )?tokens|input token count.{0,40}exceeds"
    r"|reduce the length of the messages",
    re.IGNORECASE,
)
"""How OpenAI, Anthropic, Google, Mistral, llama.cpp and LiteLLM say that the input does not fit."""

UNPARSABLE = re.compile(
    r"OutputParserException|OUTPUT_PARSING_FAILURE|OutputParserError|JSONDecodeError"
    r"|LengthFinishReasonError|StructuredOutput\w*Error|ContentFormatFinishReasonError"
    r"|(?:could not|couldn't|cannot|failed to|unable to|error) pars(?:e|ing)\b"
    r"|(?:is|was|are) (?:not|no) (?:valid )?JSON|invalid JSON|malformed JSON"
    r"|Failed to convert text into a pydantic model|pydantic\w*\.ValidationError"
    r"|validation errors? for \w+|Invalid Format: ",
    re.IGNORECASE,
)
"""What LangChain, OpenAI's client, Pydantic and CrewAI raise when a model's text does not parse."""

REFUSAL = re.compile(
    r"(?:I['’]?m sorry|I am sorry|Sorry|I apologi[sz]e|My apologies)[,.]? (?:but |however, )?"
    r"(?:I |as an AI\b.{0,40}?I )"
    r"(?:can(?:no|['’])t|am (?:not able|unable)|['’]m (?:not able|unable)|won['’]t) (?:to )?"
    r"(?:assist|help|comply|fulfill|do that|provide|create|generate)"
    r"|I (?:can(?:no|['’])t|won['’]t|am unable to|['’]m unable to|must decline to) "
    r"(?:assist|help|comply|fulfill|do that|engage)\b"
    r"|As an AI(?: language model)?, I (?:can(?:no|['’])t|am (?:not able|unable))",
    re.IGNORECASE,
)
"""How refusals begin: the prefixes of Zou et al. 2023 (arXiv 2307.15043, appendix)."""

ADMITS = re.compile(
    r"err(?:or|eur)|\bfail|unable|(?:could|can?|did|do|does|is|was|are|were|has|have|would|wo)"
    r"(?: ?not\b|n['’]t\b)|cannot|unavailable|unsuccess|sorry|apolog|problem|issue|exception"
    r"|time[d-]? ?out|invalid|not found|missing|unfortunately|\bretry|try again|without|\bno\b"
    r"|unknown|unclear|unsure|denied|refused|unexpected|broken|\bdown\b|offline|instead|however"
    r"|fehl|nicht|échec|impossible|pas\b|fallo|fall[óa]|失败|错误|无法|エラー|失敗",
    re.IGNORECASE,
)
"""Words with which an answer may own up to an error. Broad: doubt speaks for the agent."""

_ERROR_TEXT = re.compile(
    r"\s*[\"'\[{(]*(?:Tool )?(?:execution )?(?:Error|Exception|Traceback \(most recent call last\)"
    r"|[A-Z]\w*(?:Error|Exception))\b(?=[:\s(]).{0,2000}",
    re.DOTALL,
)


RUNS = re.compile(r"run|test|exec|bash|shell|python|terminal|compile|build|lint", re.IGNORECASE)
"""Words in the names of tools that run code."""

_REACT = re.compile(r"^Action: *(?P<name>[^\n]+?) *\nAction Input:", re.MULTILINE)
"""A tool call as Yao et al. 2022 (arXiv 2210.03629) have models write it, and CrewAI still does."""


def failed(span: Span) -> bool:
    """Say whether the span ended in an error."""
    return span.status == "error"


def error_text(span: Span) -> str:
    """Return what the span says went wrong, its name where it says nothing."""
    return span.error or span.status_message or span.name


def tool_error(span: Span) -> str | None:
    """Return the error of a tool call, raised or answered, or None.

    Frameworks catch what a tool raises and hand the model a text: `Error: …`, a JSON object with
    `error`, an MCP result with `isError`, a LangChain ToolMessage with status `error`.
    """
    if failed(span):
        return error_text(span)
    output = span.output
    if not output:
        return None
    value = chat.parse(output)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return output if _says_error(value) else None
    text = value if isinstance(value, str) else output
    return output if _ERROR_TEXT.fullmatch(text[:2000]) else None


def _says_error(value: dict[str, object]) -> bool:
    if value.get("isError") is True or value.get("is_error") is True:
        return True
    if str(value.get("status", "")).lower() == "error":
        return True
    content = value.get("content")
    if isinstance(content, str) and _ERROR_TEXT.fullmatch(content[:2000]):
        return True
    return bool(value.get("error")) and not value.get("result") and value.get("success") is not True


def answer(span: Span) -> str:
    """Return the words a model answered with, without tool calls and reasoning."""
    if not span.output:
        return ""
    messages = chat.read(span.output)
    if not messages:
        return span.output
    said = (message for message in messages if message.get("role") in ("assistant", None))
    return "\n".join(str(message.get("content") or "") for message in said).strip()


def thought(span: Span) -> str:
    """Return what a model said as it called tools, else what it thought, if that was recorded."""
    messages = chat.read(span.output) if span.output else []
    said = _REACT.split(answer(span), maxsplit=1)[0].strip()
    return said or "\n".join(str(message.get("reasoning") or "") for message in messages)


def tool_calls(span: Span) -> list[dict[str, object]]:
    """Return the tool calls a model answered with, those in the words of ReAct too."""
    messages = chat.read(span.output) if span.output else []
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return calls or [{"name": found["name"]} for found in _REACT.finditer(answer(span))]


def origins(trace: Trace) -> Iterator[Span]:
    """Yield the spans where errors began: in error, with no child that is."""
    for span in trace.spans:
        if failed(span) and not any(failed(child) for child in trace.children(span.span_id)):
            yield span


def outermost(trace: Trace, kind: str) -> Iterator[Span]:
    """Yield the spans of a kind that lie in no other of the same kind and doing.

    Two instrumentations of one call nest; the call is to be counted once.
    """
    for span in trace.spans:
        if span.kind == kind and not any(
            above.kind == kind and above.tool == span.tool for above in trace.ancestors(span)
        ):
            yield span


def root_failed(trace: Trace) -> bool:
    """Say whether the run as a whole ended in an error."""
    return any(failed(span) for span in trace.roots)
