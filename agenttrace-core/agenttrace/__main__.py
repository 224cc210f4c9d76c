"""`python -m agenttrace`: what runs in the user's own environment, with the core alone."""

import sys
from collections.abc import Sequence

USAGE = """\
usage: python -m agenttrace run SCRIPT [ARGUMENT…]   record a program without a line in it
       python -m agenttrace worker MODULE            run the replays of what it makes replayable
       python -m agenttrace doctor [SCRIPT]          find out why traces do not arrive

The server, the demo and everything else: pip install agenttrace-server, then: agenttrace --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names; return the exit code."""
    command, *arguments = [*(sys.argv[1:] if argv is None else argv), ""]
    if command == "run":
        from agenttrace import run

        return run.main(arguments[:-1])
    if command == "worker":
        from agenttrace import worker

        return worker.main(arguments[:-1])
    if command == "doctor":
        from agenttrace import doctor

        return doctor.main(arguments[:-1])
    asked = command in ("-h", "--help", "help")
    print(USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
