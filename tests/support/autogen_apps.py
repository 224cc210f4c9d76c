"""Small AutoGen applications on scripted models."""

import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient

INFO = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=False,
    family="unknown",
    structured_output=False,
)

warnings.filterwarnings("ignore", message="Multiple handoffs")


def model(*replies: str | CreateResult) -> ReplayChatCompletionClient:
    """A model that gives these replies in order."""
    return ReplayChatCompletionClient(list(replies), model_info=INFO)


def calls(name: str, call_id: str = "1", **arguments: Any) -> CreateResult:
    """A model's reply that calls a tool; takes 10 tokens in and 5 out."""
    call = FunctionCall(id=call_id, name=name, arguments=json.dumps(arguments))
    return CreateResult(
        finish_reason="function_calls",
        content=[call],
        usage=RequestUsage(prompt_tokens=10, completion_tokens=5),
        cached=False,
    )


def agent(name: str, *replies: str | CreateResult, **options: Any) -> AssistantAgent:
    """An assistant that gives these replies in order."""
    return AssistantAgent(name, model(*replies), **options)


def add(a: int, b: int) -> int:
    """add two numbers"""
    return a + b


def says(text: str) -> TextMentionTermination:
    """Stop when somebody mentions this."""
    return TextMentionTermination(text)


def writer_and_critic() -> RoundRobinGroupChat:
    """The app behind the captures `autogen-*-roundrobin-stream` and `autogen-*-early-exit`."""
    writer = agent("writer", "w-msg0", "w-msg1", "w-msg2")
    critic = agent("critic", "c0", "c1")
    return RoundRobinGroupChat([writer, critic], termination_condition=MaxMessageTermination(6))


def planner_and_worker() -> Swarm:
    """The app behind the captures `autogen-*-swarm`."""
    planner = agent(
        "planner", calls("transfer_to_worker"), "TERMINATE plan done", handoffs=["worker"]
    )
    worker = agent(
        "worker",
        calls("add", a=1, b=2),
        calls("transfer_to_planner", "2"),
        tools=[add],
        handoffs=["planner"],
    )
    return Swarm([planner, worker], termination_condition=says("TERMINATE"))


def selected_writer_and_critic() -> SelectorGroupChat:
    """The app behind the capture `autogen-*-selector`."""
    writer = agent("writer", "w0", description="writes")
    critic = agent("critic", "c0 TERMINATE", description="critic")
    return SelectorGroupChat(
        [writer, critic], model("writer", "critic"), termination_condition=says("TERMINATE")
    )


def ledger(done: bool, speaker: str, task: str = "", progress: bool = True) -> str:
    """What MagenticOne's orchestrator wants to read after each step."""
    answers = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": progress,
        "next_speaker": speaker,
        "instruction_or_question": task,
    }
    return json.dumps({key: {"reason": "so", "answer": value} for key, value in answers.items()})


def shape(result: Any) -> tuple[Any, Sequence[Any]]:
    """What a run came to, without the ids and times that differ from run to run."""
    gone = {"id", "created_at"}
    said = [
        {key: value for key, value in m.model_dump(mode="json").items() if key not in gone}
        for m in result.messages
    ]
    return result.stop_reason, said


Team = Callable[[], Any]
