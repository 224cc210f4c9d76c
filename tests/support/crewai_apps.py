"""Small CrewAI applications on scripted models, kept from phoning home."""

import json
import os
import tempfile

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TESTING="true",
)
os.environ.setdefault("CREWAI_STORAGE_DIR", tempfile.mkdtemp(prefix="agenttrace-crewai-"))

from crewai import Agent, BaseLLM, Crew, Task


class ScriptedModel(BaseLLM):
    """A model that gives its replies in order, the last one for ever, and counts its calls."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__(model="scripted-1")
        self._replies = list(replies)
        self.calls = 0

    def call(self, messages, *args, **kwargs) -> str:
        self.calls += 1
        self._track_token_usage_internal({"prompt_tokens": 7, "completion_tokens": 3})
        return self._replies[min(self.calls, len(self._replies)) - 1]

    async def acall(self, messages, *args, **kwargs) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False


def use(tool: str, **arguments) -> str:
    """What a model answers to use a tool."""
    return f"Thought: I need it\nAction: {tool}\nAction Input: {json.dumps(arguments)}"


def final(answer: str) -> str:
    """What a model answers to end its turn."""
    return f"Thought: I now know the final answer\nFinal Answer: {answer}"


def agent(role: str, *replies: str, **settings) -> Agent:
    """An agent whose model gives these replies; those that use no tool end its turn."""
    script = [reply if "\nAction: " in reply else final(reply) for reply in replies]
    return Agent(
        role=role,
        goal=f"the goal of {role}",
        backstory="long",
        llm=settings.pop("llm", None) or ScriptedModel(script),
        **settings,
    )


def task(description: str, worker: Agent | None = None, **settings) -> Task:
    """A task with a plain expected output."""
    return Task(description=description, expected_output="text", agent=worker, **settings)


def crew(*pairs: tuple[Agent, Task], **settings) -> Crew:
    """A crew of these agents and tasks."""
    workers = list(dict.fromkeys(id(a) for a, _ in pairs))
    by_id = {id(a): a for a, _ in pairs}
    return Crew(agents=[by_id[i] for i in workers], tasks=[t for _, t in pairs], **settings)


def relay(*names: str, label: str = "relay") -> Crew:
    """Agents that work one after the other; each says `<name> out`."""
    pairs = []
    for name in names:
        worker = agent(name, f"{name} out")
        pairs.append((worker, task(f"do {name}", worker)))
    return crew(*pairs, name=label)
