"""Start processes of our own that end with the server: each reads its standard input to the end."""

import os
import subprocess
import sys
from typing import Any

# Ctrl-C reaches everyone in the terminal's group; it is the server's to say when to stop.
_OUT_OF_CTRL_C: dict[str, Any] = (
    {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    if os.name == "nt"
    else {"process_group": 0}
)


def start(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Run a module of ours with a pipe as its standard input; `options` are those of `Popen`."""
    # -P: a file in the user's folder must not stand in for a module of ours.
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, **_OUT_OF_CTRL_C, **options)
