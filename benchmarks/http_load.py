"""A load of one request over and over: `python -m benchmarks.http_load HOST PORT FILE` sends the
bytes of FILE, a whole HTTP request, on every connection again as soon as it is answered.

Prints one line of JSON: answers, faults (statuses other than 200 and 429, connections that broke),
how many were shed with 429, times of the answers.
The client speaks as little HTTP as it can, for it shares the machine with what it measures.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop


@dataclass
class Tally:
    """What came back."""

    faults: list[str] = field(default_factory=list)
    shed: int = 0
    times_ms: list[float] = field(default_factory=list)
    began_s: list[float] = field(default_factory=list)


class Asker(asyncio.Protocol):
    """One connection that asks until the time is up."""

    def __init__(self, request: bytes, tally: Tally, end_s: float, done: asyncio.Future) -> None:
        self._request, self._tally, self._end_s, self._done = request, tally, end_s, done
        self._held = b""
        self._sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        now_s = time.perf_counter()
        if head.startswith(b"HTTP/1.1 429"):
            self._tally.shed += 1
        elif not head.startswith(b"HTTP/1.1 200"):
            self._tally.faults.append(self._held[:200].decode(errors="replace"))
        else:
            self._tally.times_ms.append(1e3 * (now_s - self._sent_s))
            self._tally.began_s.append(self._sent_s)
        self._held = b""
        if now_s >= self._end_s:
            self._done.set_result(None) if not self._done.done() else None
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._tally.faults.append(f"connection lost: {error}")
            self._done.set_result(None)


async def load(host: str, port: int, request: bytes, connections: int, seconds: float) -> Tally:
    """Asks for some seconds."""
    loop = asyncio.get_running_loop()
    tally, ends = Tally(), [loop.create_future() for _ in range(connections)]
    end_s = time.perf_counter() + seconds
    for end in ends:
        await loop.create_connection(lambda end=end: Asker(request, tally, end_s, end), host, port)
    await asyncio.gather(*ends)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    started_s = time.perf_counter()
    tally = uvloop.run(
        load(given.host, given.port, given.file.read_bytes(), given.connections, given.seconds)
    )
    took_s = time.perf_counter() - started_s
    p50, p99 = np.percentile(tally.times_ms, [50, 99])
    print(
        json.dumps(
            {
                "answers": len(tally.times_ms),
                "faults": len(tally.faults),
                "shed": tally.shed,
                "first_fault": tally.faults[0] if tally.faults else None,
                "answers_a_second": len(tally.times_ms) / took_s,
                "p50_ms": float(p50),
                "p99_ms": float(p99),
            }
        )
    )


if __name__ == "__main__":
    main()
