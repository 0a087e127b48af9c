"""Tells Prefect's server what a run can do without, such as artifacts, while the run goes on.

A run waits for no page: a server that is away, or slow, is told when it is back.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from functools import cache, partial

import httpx
from prefect.context import SettingsContext
from prefect.settings import (
    PREFECT_CLIENT_MAX_RETRIES,
    Profile,
    Settings,
    get_current_settings,
)

from storage.base.store import redact

RETRY_S = 5.0
FLUSH_S = 5.0
FROM_SERVER = 500
_IMPATIENT: list[Settings] = []
_PROFILE = Profile(name="impatient", settings={})


class Teller:
    """Makes calls to the server one after the other, in a thread of its own.

    Args:
        retry_s: Seconds between two tries to reach a server that is away.
    """

    def __init__(self, retry_s: float = RETRY_S) -> None:
        self._retry_s = retry_s
        self._waiting: dict[str, Callable[[], object]] = {}
        self._at_work = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_away = False

    def tell(self, key: str, call: Callable[[], object]) -> None:
        """Has a call made soon, in the context of now.

        Args:
            key: What it is about: a newer call takes the place of one that still waits.
            call: What is made; it may be made again after a fault.
        """
        with self._changed:
            self._waiting[key] = partial(contextvars.copy_context().run, _call_once, call)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="teller", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Waits until all is told, that long at most, and returns whether it is.

        What is not goes on being tried as long as the process lives.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._at_work, timeout_s
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                key = next(iter(self._waiting))
                call = self._waiting.pop(key)
                self._at_work = True
            told = self._make(key, call)
            with self._changed:
                self._at_work = False
                self._note_away(not told)
                if not told:
                    self._waiting = {key: call} | self._waiting
                self._changed.notify_all()
            if not told:
                time.sleep(self._retry_s)

    def _note_away(self, is_away: bool) -> None:
        """Says once that the server is away."""
        if is_away and not self._is_away:
            logging.getLogger("lepton").warning(
                "Prefect's server is away: the run goes on, and tells it later"
            )
        self._is_away = is_away

    def _make(self, key: str, call: Callable[[], object]) -> bool:
        """Makes a call, and returns whether that is over: done, or not worth another try."""
        try:
            call()
        except httpx.TransportError:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, no run ends by a page
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
            if status >= FROM_SERVER:
                return False
            log = logging.getLogger("lepton")
            log.warning("Prefect was not told of %s: %s", key, redact(str(error)))
        return True


def _call_once(call: Callable[[], object]) -> None:
    """Makes a call without the client's own patience, which is that of what a run cannot lose."""
    with SettingsContext(profile=_PROFILE, settings=_lose_patience()):
        call()


def _lose_patience() -> Settings:
    """Return the settings of now, by which the client asks once; making them costs 25 ms."""
    now = get_current_settings()
    if not _IMPATIENT or _IMPATIENT[0] is not now:
        _IMPATIENT[:] = [now, now.copy_with_update(updates={PREFECT_CLIENT_MAX_RETRIES: 0})]
    return _IMPATIENT[1]


@cache
def open_teller() -> Teller:
    """Return this process's teller."""
    return Teller()
