"""The process in which a worker's replays run: one module, one replay after the other.

    python -m agenttrace.rerun MODULE

It reads jobs from its standard input and writes what becomes of them to its standard output, one
JSON document a line; what the application prints goes to standard error. It is a process of its
own so that a replay that hangs or crashes costs that replay, not the worker. When its input ends,
so does it, wherever the replay is: whoever would hear of the end is gone.
"""

import asyncio
import importlib
import importlib.util
import inspect
import io
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import msgspec
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from agenttrace import endpoint, replay, sdk
from agenttrace.errors import AgentTraceError, NoExecutor, ReplayCancelled, ReplayStopped
from agenttrace.jobs import Counts, Finish, Job, Outcome, Target
from agenttrace.plugins import Plugins, load_plugins
from agenttrace.replay import Edit, Recording, Replay
from agenttrace.replayables import CUSTOM, Replayable, framework_of, replayables
from agenttrace.rerun_notes import NO_JOB, Note, Order
from agenttrace.serialise import to_text
from agenttrace.server_calls import authorised

FLUSH_SECONDS = 10.0
LAST_FLUSH_SECONDS = 1.0


class _Traces(SpanProcessor):
    """Notices in which trace the present replay is recorded: that of its first span."""

    def __init__(self) -> None:
        self.trace_id: str | None = None
        self._replay_id = ""
        self._found: Callable[[], None] = lambda: None

    def expect(self, replay_id: str, found: Callable[[], None]) -> None:
        """Forget the last replay's trace; `found` is called once this one's is known."""
        self.trace_id, self._replay_id, self._found = None, replay_id, found

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take the trace id of the replay's first span."""
        if self.trace_id is not None:
            return
        current = replay.current(parent_context)
        context = span.get_span_context()
        if current is not None and current.replay_id == self._replay_id and context is not None:
            self.trace_id = f"{context.trace_id:032x}"
            self._found()


class _Process:
    """The jobs of this process, and the pipes they come and go through."""

    def __init__(self, orders: io.BufferedReader, notes: io.FileIO) -> None:
        self._orders = orders
        self._notes = notes
        self._writing = threading.Lock()
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._cancel: Callable[[], None] | None = None

    def tell(self, note: Note) -> None:
        """Write a note; whoever does not read it any more has ended, and this process will."""
        with self._writing:
            try:
                self._notes.write(msgspec.json.encode(note) + b"\n")
            except OSError:
                os._exit(1)

    def listen(self) -> None:
        """Take orders until there are no more; then end the process."""
        try:
            for line in self._orders:
                order = msgspec.json.decode(line, type=Order)
                if order.job != NO_JOB:
                    self._jobs.put(msgspec.json.decode(order.job, type=Job))
                if order.cancel and (cancel := self._cancel) is not None:
                    cancel()
            if (cancel := self._cancel) is not None:
                cancel()
            sdk.flush(LAST_FLUSH_SECONDS)
        except Exception:  # noqa: BLE001 - without orders nothing can go on here
            traceback.print_exc()
        os._exit(0)

    def work(self, plugins: Plugins) -> None:
        """Run the jobs that come, one at a time."""
        traces = _Traces()
        recording = sdk.recording()
        if recording is not None:
            recording.provider.add_span_processor(traces)
        while True:
            job = self._jobs.get()
            self.tell(Note("done", finish=self._run(job, plugins, traces)))

    def _run(self, job: Job, plugins: Plugins, traces: _Traces) -> Finish:
        traces.expect(job.replay_id, lambda: self.tell(_progress(going, traces)))
        going = Replay(
            job.replay_id,
            job.source_trace_id,
            msgspec.json.decode(job.recording, type=Recording),
            job.mode,
            job.live_tools,
            progress=lambda _: self.tell(_progress(going, traces)),
        )
        self._cancel = going.cancel
        output: str | None = None
        try:
            target = _target(job)
            executor = _executor(plugins, job.checkpoint.framework or CUSTOM)
            edits = [msgspec.convert(edit, Edit) for edit in job.edits]
            with going.active():
                output = to_text(_result(executor(target, job.checkpoint, edits, going)))
            status, error = _ended(going.stopped)
        except BaseException as raised:  # noqa: BLE001 - the application's own; its end is told
            status, error = _ended(going.stopped or raised)
            if status == "failed":
                traceback.print_exception(raised)
        finally:
            self._cancel = None
        sdk.flush(FLUSH_SECONDS)
        return Finish(
            worker_id="",
            attempt=job.attempt,
            status=status,
            error=error,
            trace_id=traces.trace_id,
            output=output,
            counts=Counts(**going.counts),
        )


def main(argv: list[str] | None = None) -> int:
    """Serve the module that `argv` names; return 1 if it cannot be imported."""
    (target,) = sys.argv[1:] if argv is None else argv
    process = _Process(*_private_pipes())
    found = endpoint.resolve()
    sdk.instrument(service_name=_service(target), headers=authorised(dict(found.headers)))
    plugins = load_plugins()
    try:
        module = load(target)
        targets = tuple(_targets(target, plugins))
    except BaseException as error:  # noqa: BLE001 - an import can fail in any way
        if not isinstance(error, AgentTraceError):
            traceback.print_exception(error)
        process.tell(Note("broken", error=_last_line(error)))
        return 1
    for each in targets:
        # Importing an executor takes its time: better now than in the first replay.
        plugins.first("agenttrace_executor", framework=each.framework)
    process.tell(Note("ready", targets=targets, files=tuple(_own_files(module))))
    threading.Thread(target=process.listen, daemon=True, name="agenttrace-orders").start()
    process.work(plugins)
    return 0


def _service(target: str) -> str | None:
    """Return the name the application has when it runs by itself; None where the user named it."""
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in attributes:
        return None
    return Path(target).stem if target.endswith(".py") else target.rpartition(".")[2]


def load(target: str) -> ModuleType:
    """Import the module of a file's path or of a dotted name.

    Raises what its import raises; `AgentTraceError` where there is no such file.
    """
    path = Path(target)
    if path.suffix != ".py" and not path.is_file():
        sys.path[:0] = [os.getcwd()]
        return importlib.import_module(target)
    if not path.is_file():
        raise AgentTraceError(f"There is no file {target!r}; name a Python file or a module")
    sys.path[:0] = [str(path.resolve().parent)]
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _private_pipes() -> tuple[io.BufferedReader, io.FileIO]:
    """Take standard input and output for ourselves, before anyone else writes there."""
    orders, notes = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as we do
    return os.fdopen(orders, "rb"), io.FileIO(notes, "w")


def _targets(module: str, plugins: Plugins) -> Iterator[Target]:
    found = replayables()
    if not found:
        raise AgentTraceError(
            f"{module} makes nothing replayable; add: agenttrace.replayable('my-app', graph)"
        )
    instrumentors = [one for _, one in plugins.each("agenttrace_instrumentor")]
    for each in found.values():
        yield Target(each.name, _framework(each, instrumentors))


def _framework(found: Replayable, instrumentors: list[Any]) -> str:
    try:
        return framework_of(found, instrumentors) or ""
    except Exception as error:
        raise AgentTraceError(
            f"The factory of {found.name!r} raised {_last_line(error)}"
        ) from error


def _own_files(module: ModuleType) -> Iterator[str]:
    """The source files of the application: those loaded that belong to no installed package."""
    root = Path(str(module.__file__)).resolve().parent if module.__file__ else Path.cwd()
    for each in list(sys.modules.values()):
        file = getattr(each, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or "site-packages" in file:
            continue
        if root in Path(file).resolve().parents:
            yield file


def _target(job: Job) -> Any:
    found = replayables().get(job.target)
    if found is None:
        known = ", ".join(sorted(replayables()))
        raise AgentTraceError(f"Nothing here is replayable as {job.target!r}, only: {known}")
    return found.target


def _executor(plugins: Plugins, framework: str) -> Any:
    executor = plugins.first("agenttrace_executor", framework=framework)
    if executor is None:
        raise NoExecutor(
            f"No plugin can replay {framework!r}; try: pip install agenttrace-{framework}"
        )
    return executor


def _result(value: Any) -> Any:
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _ended(reason: BaseException | None) -> tuple[Outcome, str | None]:
    """How a replay ended, and why in one line.

    Frameworks may swallow what a tool raises: what the replay says itself comes first.
    """
    if reason is None:
        return "succeeded", None
    if isinstance(reason, ReplayCancelled):
        return "cancelled", None
    if isinstance(reason, ReplayStopped):
        return "stopped", str(reason)
    return "failed", _last_line(reason)


def _last_line(error: BaseException) -> str:
    """The last line of the error's traceback, and for errors not ours where it was raised."""
    if isinstance(error, AgentTraceError):
        return str(error)
    line = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    frames = traceback.extract_tb(error.__traceback__)
    return f"{line} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else line


def _progress(going: Replay, traces: _Traces) -> Note:
    return Note("progress", counts=Counts(**going.counts), trace_id=traces.trace_id)


if __name__ == "__main__":
    sys.exit(main())
