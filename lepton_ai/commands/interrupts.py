"""Makes sure that no Ctrl-C is lost."""

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """Raises a Ctrl-C that something swallowed again at the next step, inside a block.

    Python raises it wherever the main thread happens to be. Inside a finaliser or a callback of the
    import system it is printed as ignored, and the run would go on to publish what its user wanted
    to stop.
    """

    def __init__(self) -> None:
        self._pressed = False
        self._installed = False

    def __enter__(self) -> "Interrupts":
        # A shell that runs us in the background has SIGINT ignored, and that is to stay so.
        if _is_main() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._pressed = True
        signal.default_int_handler(number, frame)

    def check(self) -> None:
        """Raises a swallowed Ctrl-C; called at every step of a run.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed before; in the main thread only.
        """
        if self._pressed and _is_main():
            raise KeyboardInterrupt


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
