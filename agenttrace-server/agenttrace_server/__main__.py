"""`python -m agenttrace_server` is the `agenttrace` command."""

from agenttrace_server.cli import main

main()
