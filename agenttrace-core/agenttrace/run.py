"""`python -m agenttrace run app.py`: record a program without a line in it."""

import atexit
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from agenttrace import endpoint, health, sdk
from agenttrace.errors import ServerError
from agenttrace.script import Script

USAGE = """\
usage: agenttrace run [--endpoint URL] [--service-name NAME] [--no-server] SCRIPT [ARGUMENT…]
       agenttrace run [OPTION…] -m MODULE [ARGUMENT…]

Record a Python program: no line to add to it, its own arguments and its own exit code.

  --endpoint URL        where to send (OTEL_EXPORTER_OTLP_ENDPOINT, else http://127.0.0.1:4318)
  --service-name NAME   the application's name (OTEL_SERVICE_NAME, else the script's name)
  --no-server           do not start a server if none answers

example: agenttrace run app.py --its-own --arguments"""

SHOWN_TRACES = 5

Ensure = Callable[[str, Callable[[str], None]], health.Health]


def main(argv: Sequence[str] | None = None, ensure: Ensure = health.ensure_server) -> int:
    """Run the program that `argv` names and return its exit code; 2 if `argv` makes no sense.

    `ensure` answers, given a URL and a way to tell the user, with the server there, starting one
    if need be. The URLs of the traces are printed to standard error when the process ends.
    """
    try:
        options, script = _parse(list(sys.argv[1:] if argv is None else argv))
        target = endpoint.resolve(options.get("--endpoint"))
    except _Usage as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - the command line's own output
        return 0 if str(problem) == USAGE else 2
    except (OSError, ImportError, ValueError) as error:
        say(str(error))
        return 2
    found = health.Health("other")
    try:
        found = health.ask(target.url) if "--no-server" in options else ensure(target.url, say)
    except ServerError as error:
        say(str(error))
    if found.kind == "nothing" and "--no-server" in options:
        say(f"no server at {target.url}; start one with: {health.START_LINE}")
    script.prepare()
    _exit_properly_on_sigterm()
    # Registered before the program's own handlers, so that it runs after them.
    atexit.register(_report, target.url, found.kind == "agenttrace")
    sdk.instrument(options.get("--endpoint"), options.get("--service-name"))
    return script.run()


def say(text: str) -> None:
    """Tell the user something, on standard error: standard output is the program's."""
    print(f"agenttrace: {text}", file=sys.stderr, flush=True)  # noqa: T201


class _Usage(Exception):
    """The command line asks for help or makes no sense."""


def _parse(argv: list[str]) -> tuple[dict[str, str], Script]:
    options: dict[str, str] = {}
    while argv and argv[0].startswith("-"):
        option, equals, value = argv.pop(0).partition("=")
        if option in ("-h", "--help"):
            raise _Usage(USAGE)
        if option == "-m":
            if not argv:
                raise _Usage(f"agenttrace run: -m needs a module\n{USAGE}")
            sys.path[:0] = [] if sys.flags.safe_path else [""]
            return options, Script(argv[0], argv[1:], module=True)
        if option == "--":
            break
        if option == "--no-server":
            options[option] = ""
        elif option in ("--endpoint", "--service-name"):
            if not equals and not argv:
                raise _Usage(f"agenttrace run: {option} needs a value\n{USAGE}")
            options[option] = value if equals else argv.pop(0)
        else:
            raise _Usage(f"agenttrace run: no such option: {option}\n{USAGE}")
    if not argv:
        raise _Usage(f"agenttrace run: which program?\n{USAGE}")
    return options, Script(argv[0], argv[1:])


def _exit_properly_on_sigterm() -> None:
    """Let a terminated program deliver its spans: by default SIGTERM ends Python at once."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:

        def stop(number: int, _frame: FrameType | None) -> NoReturn:
            raise SystemExit(128 + number)

        signal.signal(signal.SIGTERM, stop)


def _report(url: str, has_pages: bool) -> None:
    recording = sdk.recording()
    if recording is None:
        return
    traces = [f"{trace_id:032x}" for trace_id in recording.queue.traces]
    delivered = sdk.flush(timeout=30.0)
    if not traces:
        captured = ", ".join(sorted(recording.instrumentors)) or "none was imported"
        say(f"nothing was recorded: no agent ran (frameworks captured: {captured})")
    elif not delivered:
        say(f"not everything was delivered to {url}; to see why: agenttrace doctor")
    elif has_pages:
        for trace_id in traces[-SHOWN_TRACES:]:
            say(f"{url}/traces/{trace_id}")
        if len(traces) > SHOWN_TRACES:
            say(f"and {len(traces) - SHOWN_TRACES} more: {url}/traces")
    else:
        say(f"{recording.queue.delivered} spans sent to {url}")
