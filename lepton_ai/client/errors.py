"""What a client raises, as one small hierarchy.

ClientError
    RequestRefused    the server says no; asking again would be answered alike
        ServerBusy    it still said "later" when no time or no attempt was left
    ServerUnreachable nothing answers at the address, or the connection was lost
    DeadlinePassed    no answer in the time that there was
    BadAnswer         what came back is not what the protocol promises
"""


class ClientError(Exception):
    """Base of what a client raises."""


class RequestRefused(ClientError):
    """The server refused a request.

    Attributes:
        status: HTTP status, 4xx or 5xx.
        text: What the server said.
    """

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(f"request must be one that the server takes; got {status}: {text}")


class ServerBusy(RequestRefused):
    """The server had no room for a request, however often it was asked in the time there was."""


class ServerUnreachable(ClientError):
    """No connection to the server, or one that was lost."""


class DeadlinePassed(ClientError):
    """No answer came in time."""


class BadAnswer(ClientError):
    """An answer is not what the protocol promises."""
