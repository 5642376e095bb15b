"""One way to log: key and value pairs, as text for people or JSON for machines, to standard error.

What libraries log, what Python warns of, and an exception that ends the process or a thread take the same way.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from types import TracebackType
from typing import Any

import structlog

from ratemill.visible import visible, visible_json, visible_lines

# These log failures of a connection with a traceback, each time; the database handle logs the database that is away.
_QUIET = {"sqlalchemy.pool": logging.CRITICAL, "psycopg": logging.ERROR, "psycopg.pool": logging.CRITICAL}


def configure(*, as_json: bool, level: str = "INFO") -> None:
    """Set up logging for this process; called once, by its entry point."""
    structlog.configure(
        processors=processors(as_json=as_json),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _take_over()


def processors(*, as_json: bool) -> list[structlog.types.Processor]:
    """Return what makes a line of an event, in which no invisible character is left."""
    rendering: list[structlog.types.Processor] = [
        _visible,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    ]
    if as_json:
        rendering = [structlog.processors.JSONRenderer(serializer=_json)]
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        *rendering,
    ]


def _visible(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Spell out what is invisible in an event for people; only a traceback keeps its line breaks."""
    return {visible(name): _visible_value(name, value) for name, value in event.items()}


def _visible_value(name: str, value: object) -> object:
    if isinstance(value, str):
        return visible_lines(value) if name in {"exception", "stack"} else visible(value)
    return value if value is None or isinstance(value, (bool, int, float)) else visible(repr(value))


def _json(event: object, **options: Any) -> str:  # noqa: ANN401 -- as `json.dumps` has them
    return visible_json(json.dumps(event, ensure_ascii=False, **options))


class _Forwarder(logging.Handler):
    """Hands on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record of the standard library as an event of ours."""
        try:
            exc_info = {"exc_info": record.exc_info} if record.exc_info and record.exc_info[0] else {}
            get(record.name).log(record.levelno, record.getMessage(), **exc_info)
        except Exception:  # noqa: BLE001 -- a library's bad record ends nothing
            self.handleError(record)


def _take_over() -> None:
    """Let all that would be written to standard error by others be logged."""
    logging.basicConfig(handlers=[_Forwarder()], level=logging.WARNING, force=True)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _process_failed
    threading.excepthook = _thread_failed


def _process_failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        get(__name__).critical("process_failed", error=repr(error), exc_info=(kind, error, trace))


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and not issubclass(failure.exc_type, SystemExit):
        name = failure.thread.name if failure.thread else ""
        exc_info = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        get(__name__).error("thread_failed", thread=name, error=repr(failure.exc_value), exc_info=exc_info)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(module=name)
    return logger
