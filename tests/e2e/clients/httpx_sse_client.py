"""Reads with httpx and httpx-sse: after a cut, or a clean end, it asks again with its last id.

Arguments: URL, last id or "".
"""

import sys

import httpx
from httpx_sse import connect_sse

import lines

url, last = sys.argv[1:3]

with httpx.Client(timeout=30) as client:
    for _attempt in lines.attempts():
        headers = {"Last-Event-ID": last} if last else {}
        try:
            with connect_sse(client, "GET", url, headers=headers) as source:
                if source.response.status_code == 204:
                    break
                for frame in source.iter_sse():
                    # This library makes an empty event of a block that holds only `retry`.
                    if frame.retry is not None and not frame.data:
                        continue
                    lines.tell(frame.id, frame.event, frame.data)
                    last = frame.id
        except httpx.TransportError as cut:
            print(f"cut: {cut!r}", file=sys.stderr)

lines.closed()
