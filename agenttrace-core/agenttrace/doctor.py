"""`python -m agenttrace doctor`: find out why traces do not arrive, with the line that mends it."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence

import msgspec

from agenttrace import checkup
from agenttrace.checkup import Finding
from agenttrace.script import Script

USAGE = """\
usage: agenttrace doctor [--endpoint URL] [--json] [SCRIPT [ARGUMENT…] | -m MODULE [ARGUMENT…]]

Find out why traces do not arrive. Without a program: what is installed, the environment and the
server. With one: runs it as it is, and looks at what it has set up when it ends.

  --endpoint URL   the server to look for (OTEL_EXPORTER_OTLP_ENDPOINT, else http://127.0.0.1:4318)
  --json           print the findings as JSON

Exit code: 0 if all is well, 1 if something is wrong, 2 if the command line makes no sense."""

SIGNS = {"problem": "✗", "note": "·"}


def main(argv: Sequence[str] | None = None) -> int:
    """Print what is wrong and how to mend it; return 1 if anything is."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options, script = _parse(arguments)
    except _Usage as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - the command line's own output
        return 0 if str(problem) == USAGE else 2
    except (OSError, ImportError) as error:
        print(f"agenttrace doctor: {error}", file=sys.stderr)  # noqa: T201
        return 2
    findings = examine(options.get("--endpoint"))
    if script is not None:
        with_json = "--json" in options

        def finish(findings: list[Finding]) -> int:
            return _print(findings, as_json=with_json)

        return _run(script, findings, finish)
    return _print(findings, as_json="--json" in options)


def examine(url: str | None = None) -> list[Finding]:
    """Return what is wrong with the installation, the environment and the server at `url`."""
    return [
        *checkup.server(url),
        *checkup.environment(),
        *checkup.installed(),
        *checkup.rivals_installed(),
    ]


def examine_process() -> list[Finding]:
    """Return what is wrong with what this process has set up so far.

    Call it in a program at the end of a run: `print(agenttrace.doctor.examine_process())`.
    """
    return [*checkup.provider(), *checkup.rivals_active(), *checkup.flushing()]


def _run(
    script: Script, findings: Iterable[Finding], finish: Callable[[list[Finding]], int]
) -> int:
    """Run the program with its output on standard error, then tell what it has set up."""
    leave, output = os._exit, sys.stdout

    def leave_after_telling(code: int) -> None:
        skipped = Finding(
            "flush",
            "problem",
            f"the program ends with os._exit({code}), which sends nothing",
            "agenttrace.flush()  # before os._exit()",
        )
        sys.stdout = output
        result = finish([*findings, *examine_process(), skipped])
        sys.stdout.flush()
        leave(result)

    sys.stdout = sys.stderr
    os._exit = leave_after_telling  # type: ignore[assignment]
    try:
        script.prepare()
        code = script.run()
    finally:
        os._exit = leave
        sys.stdout = output
    failed = Finding(
        "program",
        "note",
        f"the program ended with exit code {code}: what it did not reach was not looked at",
        f"python {script.path}",
    )
    return finish([*findings, *examine_process(), *([failed] if code else [])])


def _print(findings: Sequence[Finding], *, as_json: bool) -> int:
    wrong = any(finding.level == "problem" for finding in findings)
    if as_json:
        report = {"ok": not wrong, "findings": findings}
        text = msgspec.json.format(msgspec.json.encode(report)).decode()
    else:
        lines = [f"{SIGNS[f.level]} {f.check}: {f.what}\n    {f.mend}" for f in findings]
        text = "\n".join([*lines, "something is wrong" if wrong else "✓ all is well"])
    print(text)  # noqa: T201 - the command's result
    return 1 if wrong else 0


class _Usage(Exception):
    """The command line asks for help or makes no sense."""


def _parse(argv: list[str]) -> tuple[dict[str, str], Script | None]:
    options: dict[str, str] = {}
    while argv and argv[0].startswith("-"):
        option, equals, value = argv.pop(0).partition("=")
        if option in ("-h", "--help"):
            raise _Usage(USAGE)
        if option == "--json":
            options[option] = ""
        elif option in ("--endpoint", "-m"):
            if not equals and not argv:
                raise _Usage(f"agenttrace doctor: {option} needs a value\n{USAGE}")
            value = value if equals else argv.pop(0)
            if option == "-m":
                sys.path[:0] = [] if sys.flags.safe_path else [""]
                return options, Script(value, argv, module=True)
            options[option] = value
        elif option == "--":
            break
        else:
            raise _Usage(f"agenttrace doctor: no such option: {option}\n{USAGE}")
    return options, Script(argv[0], argv[1:]) if argv else None
