"""A framework that nobody knows, its plugin, and an application of it: what replays are tried on.

`install` writes all three into a folder; with that on PYTHONPATH, workers find the plugin as they
find every installed one. The application is a relay of agents, each asking its model what to say to
the next one. Words in a task make it misbehave: CRASH, HANG, RAISE, TOOL, SLOW.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLUGIN = '''
"""Replays relays: the state is JSON, the target a function of the state and the replay."""

import json

from agenttrace import hookimpl
from agenttrace.edits import apply_edits


@hookimpl
def agenttrace_executor(framework):
    return execute if framework == "relay" else None


def execute(target, checkpoint, edits, replay):
    return target(apply_edits(json.loads(checkpoint.state), edits), replay)
'''

APP = '''
"""A relay: planner, coder, critic."""

import os
import signal
import sys
import time
from pathlib import Path

import agenttrace
from agenttrace import payload, sdk, semconv

CALLS = Path(__file__).with_name("calls.txt")
ORDER = ["planner", "coder", "critic"]


def think(agent, prompt):
    with CALLS.open("a") as file:
        file.write(f"{agent}\\n")
    return f"{agent} did [{prompt}]"


def ask(span_of, agent, prompt, replay):
    attributes = {
        semconv.AGENTTRACE_KIND: "llm",
        semconv.AGENTTRACE_FRAMEWORK: "relay",
        semconv.GEN_AI_REQUEST_MODEL: "gpt-4o",
        semconv.GEN_AI_USAGE_INPUT_TOKENS: 1000,
        semconv.GEN_AI_USAGE_OUTPUT_TOKENS: 1000,
    }
    with span_of.start_as_current_span("chat", attributes=attributes) as span:
        payload.called(span, prompt, agent=agent)
        payload.defer(span, semconv.AGENTTRACE_INPUT, prompt)
        answer = replay.llm(agent, "gpt-4o", prompt) if replay else None
        if replay:
            replay.stamp(span, "live" if answer is None else "recorded")
        said = think(agent, prompt) if answer is None else answer.output
        payload.defer(span, semconv.AGENTTRACE_OUTPUT, said)
        payload.answered(span, said)
        return said


def misbehave(task, agent, replay):
    if agent != "coder" or replay is None:
        return
    if "CRASH" in task:
        os.kill(os.getpid(), signal.SIGKILL)
    if "RAISE" in task:
        raise ValueError("the coder has had enough")
    if "HANG" in task:
        while True:
            time.sleep(60)
    if "SLOW" in task:
        for _ in range(60):
            time.sleep(0.05)
            replay.llm("coder", "gpt-4o", str(time.time()))
    if "TOOL" in task:
        send_mail(task, replay)


def send_mail(task, replay):
    attributes = {
        semconv.AGENTTRACE_KIND: "tool",
        semconv.AGENTTRACE_FRAMEWORK: "relay",
        semconv.GEN_AI_TOOL_NAME: "send_mail",
    }
    with sdk.tracer("relay").start_as_current_span("send", attributes=attributes) as span:
        answer = replay.tool("coder", "send_mail", task)
        replay.stamp(span, "live" if answer is None else "recorded")
        CALLS.open("a").write("send_mail\\n")
        payload.defer(span, semconv.AGENTTRACE_OUTPUT, "sent")


def run(state, replay=None):
    tracer = sdk.tracer("relay")
    root = {semconv.AGENTTRACE_KIND: "workflow", semconv.AGENTTRACE_FRAMEWORK: "relay"}
    with tracer.start_as_current_span("relay", attributes=root) as whole:
        for place in range(state["next"], len(ORDER)):
            agent = ORDER[place]
            work = {
                semconv.AGENTTRACE_KIND: "agent",
                semconv.AGENTTRACE_FRAMEWORK: "relay",
                semconv.GEN_AI_AGENT_NAME: agent,
            }
            with tracer.start_as_current_span(agent, attributes=work) as span:
                payload.checkpoint(
                    span,
                    checkpoint_id=payload.new_id(),
                    label=f"before {agent}",
                    state=state | {"next": place},
                )
                misbehave(state["task"], agent, replay)
                state = state | {"task": ask(tracer, agent, state["task"], replay)}
                to = [*ORDER, "user"][place + 1]
                payload.message(span, sender=agent, recipient=to, content=state["task"])
        payload.defer(whole, semconv.AGENTTRACE_OUTPUT, state["task"])
    return state["task"]


agenttrace.replayable("relay-bot", run, framework="relay")

if __name__ == "__main__":
    agenttrace.instrument()
    run({"next": 0, "task": sys.argv[1]})
    agenttrace.flush()
'''


class Relay:
    """The application in a folder of its own, recorded and replayed against one server."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.app = folder / "app.py"
        self.app.write_text(APP)
        (folder / "agenttrace_relay.py").write_text(PLUGIN)
        info = folder / "agenttrace_relay-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: agenttrace-relay\nVersion: 1\n"
        )
        (info / "entry_points.txt").write_text("[agenttrace]\nrelay = agenttrace_relay\n")

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a process that records to the server and knows the plugin."""
        return {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "AGENTTRACE_SERVER": self.url,
        }

    def calls(self) -> list[str]:
        """Which agents' models, and which tools, have really been called so far."""
        file = self.folder / "calls.txt"
        return file.read_text().split() if file.exists() else []

    def forget(self) -> None:
        """Forget the calls so far."""
        (self.folder / "calls.txt").unlink(missing_ok=True)

    def record(self, task: str) -> None:
        """Run the application once."""
        command = [sys.executable, str(self.app), task]
        subprocess.run(command, env=self.environment, cwd=self.folder, check=True)

    def worker(self, *options: str) -> "subprocess.Popen[str]":
        """Start a worker of the application; it goes on until it is ended."""
        return subprocess.Popen(
            [sys.executable, "-m", "agenttrace", "worker", *options, str(self.app)],
            env=self.environment,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def working(self, *options: str) -> "Iterator[subprocess.Popen[str]]":
        """Run a worker until the block is left."""
        process = self.worker(*options)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)
