"""Log to standard error: for people on a terminal, as one JSON object a line elsewhere."""

import logging
import os
import sys

import structlog
from structlog.typing import EventDict, Processor

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def level() -> str:
    """Return the level that `LOG_LEVEL` names, INFO where it names none."""
    name = os.environ.get("LOG_LEVEL", "").strip().upper()
    return name if name in _LEVELS else "INFO"


def _without_colours(_logger: object, _name: str, event: EventDict) -> EventDict:
    """Leave out the coloured copy of each line that the web server sends along."""
    event.pop("color_message", None)
    return event


def set_up() -> None:
    """Send everything this process logs, the web server's lines included, to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_colours,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    on_terminal = sys.stderr.isatty()
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=on_terminal and "NO_COLOR" not in os.environ)]
        if on_terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("alembic").setLevel("WARNING")
    # A line per request says nothing that /metrics does not, except when looking for a fault.
    logging.getLogger("uvicorn.access").setLevel("DEBUG" if level() == "DEBUG" else "WARNING")
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
