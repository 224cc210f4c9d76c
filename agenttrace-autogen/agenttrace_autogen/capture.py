"""Record AutoGen runs: put the wrappers in place, and carry scopes along with messages.

A runtime handles each message in a task of its own, whose context is the one the runtime was
started in. So a message takes the context of its sender along, on the envelope it travels in.
"""

import atexit
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from agenttrace_autogen.patches import Patches
from agenttrace_autogen.recording import (
    FRAMEWORK,
    Recorder,
    Run,
    inside,
    nearest,
    runs_group_chat,
    scope_in,
)

_CONTEXT = "_agenttrace_context"


class AutoGenInstrumentor:
    """Captures the teams, agents and runtimes of this process."""

    framework = FRAMEWORK
    module = "autogen_core"
    modules = ("autogen_core", "autogen_agentchat", "autogen_ext")
    """One of them half-way imported must not be imported from."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._recorder: Recorder | None = None
        self._runtimes: Any = None
        self._teams: Any = None

    def instrument(self) -> None:
        """Start capturing. A second call does nothing."""
        if self._recorder is not None:
            return
        recorder = self._recorder = Recorder()
        try:
            self._install(recorder)
        except BaseException:
            self.uninstrument()
            raise
        atexit.register(recorder.clear)

    def uninstrument(self) -> None:
        """Leave AutoGen exactly as it was. Does nothing if not capturing."""
        self._patches.undo()
        if self._recorder is not None:
            atexit.unregister(self._recorder.clear)
            self._recorder.clear()
        self._recorder = self._runtimes = self._teams = None

    @property
    def active(self) -> bool:
        """Whether it captures now."""
        return self._recorder is not None

    def sizes(self) -> dict[str, int]:
        """How many runs, turns and calls are open now, by kind; empty when nothing is at work."""
        return {} if self._recorder is None else self._recorder.sizes()

    def _install(self, recorder: Recorder) -> None:
        from autogen_core import BaseAgent, SingleThreadedAgentRuntime
        from autogen_core import _single_threaded_agent_runtime as runtime_module

        from agenttrace_autogen import framework_spans, model_calls, tool_calls, watching
        from agenttrace_autogen.runtimes import Runtimes

        patches = self._patches
        self._runtimes = Runtimes(recorder)
        model_calls.install(patches, recorder)
        tool_calls.install(patches, recorder)
        if find_spec("autogen_agentchat") is not None:
            from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent

            from agenttrace_autogen import agent_turns, teams

            self._teams = teams
            agent_turns.install(patches, recorder)
            teams.install(patches, recorder)
            tool_calls.install_for_agents(patches, recorder, AssistantAgent, CodeExecutorAgent)
        framework_spans.install(patches)

        patches.replace(BaseAgent, "on_message", watching.coroutine(recorder, self._begin_message))
        patches.replace(runtime_module, "get_telemetry_envelope_metadata", _carry_context)
        for name, watch in {
            "send_message": self._watch_send,
            "publish_message": self._watch_publish,
            "_process_send": self._watch_process,
            "_process_publish": self._watch_process,
            "_process_response": self._watch_process,
            "stop": self._watch_stop,
            "stop_when_idle": self._watch_stop,
            "stop_when": self._watch_stop,
        }.items():
            patches.replace(SingleThreadedAgentRuntime, name, watch)

    def _begin_message(self, agent: Any, message: Any, ctx: Any) -> Any:
        if self._recorder is None:
            return None
        if self._teams is not None and runs_group_chat(message):
            return self._teams.begin_message(self._recorder, agent, message)
        return self._runtimes.begin_message(agent, message, ctx.is_rpc)

    def _watch_send(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def send_message(
            runtime: Any, message: Any, recipient: Any, *, sender: Any = None, **options: Any
        ) -> Any:
            context = self._sending(runtime, message, [recipient], sender, recipient.key)
            call = original(runtime, message, recipient, sender=sender, **options)
            return await self._in_context(context, call)

        return send_message

    def _watch_publish(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def publish_message(
            runtime: Any, message: Any, topic_id: Any, *, sender: Any = None, **options: Any
        ) -> None:
            context: Context | None
            if self._teams is not None and runs_group_chat(message):
                context = None
                self._quietly(self._teams.on_publish, message, topic_id.type, topic_id.source)
            else:
                context = await self._publishing(runtime, message, topic_id, sender)
            call = original(runtime, message, topic_id, sender=sender, **options)
            await self._in_context(context, call)

        return publish_message

    def _sending(
        self, runtime: Any, message: Any, recipients: Any, sender: Any, key: str
    ) -> Context | None:
        if self._teams is not None and runs_group_chat(message):
            self._quietly(self._teams.on_send, message, key)
            return None
        context: Context | None = self._quietly(
            self._runtimes.sending, runtime, message, recipients, sender, published=False
        )
        return context

    async def _publishing(
        self, runtime: Any, message: Any, topic_id: Any, sender: Any
    ) -> Context | None:
        from agenttrace_autogen.runtimes import subscribers

        try:
            heard_by = await subscribers(runtime, topic_id)
        except Exception:  # noqa: BLE001 - recording never breaks the run
            heard_by = []
        context: Context | None = self._quietly(
            self._runtimes.sending, runtime, message, heard_by, sender, published=True
        )
        return context

    async def _in_context(self, context: Context | None, call: Any) -> Any:
        if context is None:
            return await call
        before = otel_context.get_current()
        otel_context.attach(context)
        try:
            return await call
        finally:
            otel_context.attach(before)
            self._quietly(self._runtimes.sent, context)

    def _watch_process(self, original: Callable[..., Any]) -> Callable[..., Any]:
        from agenttrace_autogen.runtimes import processed

        async def process(runtime: Any, envelope: Any) -> None:
            context = getattr(envelope.metadata, _CONTEXT, None)
            at_home = None if context is None else self._quietly(_home, context, envelope)
            if context is None or at_home is None:
                await original(runtime, envelope)
                return
            otel_context.attach(at_home)
            try:
                await original(runtime, envelope)
            finally:
                processed(context)
                self._quietly(self._runtimes.sent, context)

        return process

    def _watch_stop(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def stop(runtime: Any, *args: Any, **kwargs: Any) -> None:
            try:
                await original(runtime, *args, **kwargs)
            finally:
                self._quietly(self._runtimes.stopped, runtime)

        return stop

    def _quietly(self, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        recorder = self._recorder
        return None if recorder is None else recorder.quietly(act, *args, **kwargs)


def _carry_context(original: Callable[[], Any]) -> Callable[[], Any]:
    from agenttrace_autogen.runtimes import enqueued

    def get_telemetry_envelope_metadata() -> Any:
        metadata = original()
        context = otel_context.get_current()
        if scope_in(context) is not None:
            setattr(metadata, _CONTEXT, context)
            enqueued(context)
        return metadata

    return get_telemetry_envelope_metadata


def _home(context: Context, envelope: Any) -> Context:
    """The context to handle a message in.

    Who answers a call works within the caller's turn. Who hears something published works on its
    own: beside the one who said it, within the same run.
    """
    scope = scope_in(context)
    if scope is None:
        return context
    if hasattr(envelope, "recipient") and not runs_group_chat(envelope.message):
        return context
    run = nearest(scope, Run)
    outermost = list(scope.enclosing())[-1]
    return inside(run or outermost, context)


INSTRUMENTOR = AutoGenInstrumentor()
