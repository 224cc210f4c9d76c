"""What LangGraph applications under test are made of: an offline model, a tool, one whole app."""

import operator
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Literal, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send, interrupt

Reply = str | AIMessage | Callable[[list[BaseMessage]], AIMessage]


class Model(BaseChatModel):
    """A chat model that gives its replies in order, and the last one again and again."""

    replies: list[Any]
    given: int = 0

    @property
    def _llm_type(self) -> str:
        return "offline"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": "acme", "ls_model_name": "acme-1", "ls_model_type": "chat"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        reply = self.replies[min(self.given, len(self.replies) - 1)]
        self.given += 1
        if callable(reply):
            reply = reply(messages)
        answer = AIMessage(reply) if isinstance(reply, str) else reply.model_copy()
        answer.usage_metadata = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(self, messages: Any, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for word in self._generate(messages).generations[0].text.split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(word + " "))
            if manager := kwargs.get("run_manager"):
                manager.on_llm_new_token(word, chunk=chunk)
            yield chunk

    async def _astream(
        self, messages: Any, *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self._generate(messages).generations[0].text.split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(word + " "))
            if manager := kwargs.get("run_manager"):
                await manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


def model(*replies: Reply) -> Model:
    return Model(replies=list(replies))


def call(name: str, text: str = "", **args: Any) -> AIMessage:
    """The model's wish to call a tool."""
    return AIMessage(text, tool_calls=[{"name": name, "args": args, "id": f"call-{name}"}])


@tool
def search(q: str) -> str:
    """Search the library."""
    return f"hits for {q}"


class Team(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    topic: str
    parts: Annotated[list[str], operator.add]
    final: str


class Research(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    topic: str
    parts: Annotated[list[str], operator.add]


def team(*, approve: bool = False, checkpointer: Any = None) -> Any:
    """The small app whose runs the dumps `langgraph-*` hold, put together again from them.

    A supervisor hands off to a research team (plan, then a `Send` per part), then to a writer.
    """
    chat = model("go", call("search", q="x"), "done", "go")

    def plan(state: Research) -> dict[str, Any]:
        return {"messages": [chat.invoke("plan")]}

    def fan(state: Research) -> list[Send]:
        return [Send("lookup", {"topic": f"{state['topic']}{i}"}) for i in range(2)]

    def lookup(state: Research) -> dict[str, Any]:
        return {"parts": [search.invoke({"q": state["topic"]})]}

    research = StateGraph(Research)
    research.add_node(plan)
    research.add_node(lookup)
    research.add_edge(START, "plan")
    research.add_conditional_edges("plan", fan, ["lookup"])

    def supervisor(state: Team) -> Command[Literal["researcher", "writer"]]:
        chat.invoke(state["topic"])
        goto = "writer" if state.get("parts") else "researcher"
        said = AIMessage(f"handoff to {goto}", name="supervisor")
        return Command(goto=goto, update={"messages": [said]})

    def writer(state: Team) -> dict[str, Any]:
        if approve:
            interrupt({"approve": state["parts"]})
        chat.invoke("write")
        return {
            "final": "|".join(state["parts"]),
            "messages": [AIMessage("final", name="writer")],
        }

    graph = StateGraph(Team)
    graph.add_node(supervisor)
    graph.add_node("researcher", research.compile())
    graph.add_node(writer)
    graph.add_edge(START, "supervisor")
    graph.add_edge("researcher", "supervisor")
    return graph.compile(name="team", checkpointer=checkpointer)
