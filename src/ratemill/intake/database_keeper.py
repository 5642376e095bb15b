"""Keep the database up: open it for ``serve``, and start the embedded server again whenever it is gone.

This is done in a thread, because a recovery takes as long as it takes: meanwhile processes are restarted, signals are
served, and the API answers 503. Your own PostgreSQL is not started: it is waited for.
"""

from __future__ import annotations

from threading import Event, Thread
from time import monotonic

from ratemill import logs
from ratemill.access import database as databases
from ratemill.errors import LoginRefusal, RatemillError, Unavailable
from ratemill.periods import growing_pause
from ratemill.settings import Settings

CHECK_S = 1.0
RETRY_S_MIN = 0.5
RETRY_S_MAX = 5.0  # so that a server that could not start is up within 10 s of the time it can
REPEAT_S = 60.0  # a fault that stays is logged this often

log = logs.get(__name__)


class DatabaseKeeper:
    """The database of one ``serve``; ``start`` begins, ``is_open`` shows that it has been migrated once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened, self._stopping = Event(), Event()
        self._failure: RatemillError | None = None
        self._thread = Thread(target=self._run, name="database keeper", daemon=True)
        self._logged = ""
        self._logged_at = float("-inf")

    def start(self) -> None:
        """Begin to open the database."""
        self._thread.start()

    def is_open(self) -> bool:
        """Return whether the database has been opened; raise the error that makes waiting for it useless."""
        if self._failure is not None:
            raise self._failure
        return self._opened.is_set()

    def stop(self, *, within_s: float) -> bool:
        """Leave the database alone from now; return whether nothing is being done to it any more."""
        self._stopping.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._open()
        except RatemillError as error:
            self._failure = error
        except Exception as error:
            log.exception("database_keeper_failed")
            self._failure = Unavailable(f"the database could not be opened: {error}")
        while self._failure is None and not self._stopping.wait(CHECK_S):
            self._look_after()

    def _look_after(self) -> None:
        """Start the embedded server if it is gone; whatever fails is logged and tried again, for ``serve`` goes on."""
        try:
            if not self._is_up():
                self._restart()
        except Exception:
            log.exception("database_keeper_failed")
            self._stopping.wait(REPEAT_S)

    def _open(self) -> None:
        """Open the database once; raise what waiting cannot correct.

        Your own database is waited for unless it refuses the login. An embedded one that cannot start ends ``serve``.
        """
        while not self._stopping.is_set():
            try:
                databases.open_database(self._settings, progress=self._progress).close()
            except LoginRefusal:
                raise
            except Unavailable as error:
                if not self._settings.database_url:
                    raise
                self._log_fault("database_unavailable", error)
                self._stopping.wait(RETRY_S_MAX)
            else:
                self._opened.set()
                return

    def _is_up(self) -> bool:
        try:
            return databases.is_embedded_up(self._settings)
        except RatemillError as error:
            self._log_fault("database_unavailable", error)
            return True

    def _restart(self) -> None:
        """Start the embedded server until it answers, with a growing pause between attempts."""
        log.warning("database_down", home=str(self._settings.home.absolute()), action="it is started again")
        began, failures = monotonic(), 0
        while not self._stopping.is_set():
            try:
                databases.keep_embedded_up(self._settings, self._progress)
            except RatemillError as error:
                self._log_fault("database_not_started", error)
                self._stopping.wait(growing_pause(RETRY_S_MIN, RETRY_S_MAX, failures))
                failures += 1
            else:
                log.info("database_restarted", after_s=round(monotonic() - began, 1))
                self._logged = ""
                return

    def _log_fault(self, event: str, error: RatemillError) -> None:
        """Log a fault when it is new, then once a minute."""
        text = str(error)
        if event != self._logged or monotonic() - self._logged_at >= REPEAT_S:
            self._logged, self._logged_at = event, monotonic()
            log.warning(event, error=text)

    def _progress(self, message: str) -> None:
        """Log what a start waits for; give up if ``serve`` is stopping."""
        if self._stopping.is_set():
            raise Unavailable("this process is stopping: the database is left as it is")
        log.info("database_starting", progress=message)
