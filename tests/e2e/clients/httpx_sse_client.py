"""Reads one turn with httpx and httpx-sse: after a cut it asks again with its last id.

Arguments: base URL, execution id. Prints one JSON line for each frame, then {"end": "closed"}.
"""

import json
import sys

import httpx
from httpx_sse import connect_sse

base, execution = sys.argv[1:3]
url = f"{base}/agents/run/stream"
headers = {}
finished = False

with httpx.Client(timeout=30) as client:
    for _attempt in range(5):
        try:
            with connect_sse(
                client, "GET", url, params={"executionId": execution}, headers=headers
            ) as source:
                if source.response.status_code == 204:
                    break
                for frame in source.iter_sse():
                    # This library makes an empty event of a block that holds only `retry`.
                    if frame.retry is not None and not frame.data:
                        continue
                    line = {"id": frame.id, "event": frame.event, "data": frame.data}
                    print(json.dumps(line), flush=True)
                    headers["Last-Event-ID"] = frame.id
                    finished = finished or frame.event == "done"
        except httpx.TransportError as cut:
            print(f"cut: {cut!r}", file=sys.stderr)
    else:
        sys.exit("no 204 after the end of the turn")

if not finished:
    sys.exit("204 before `done`")
print(json.dumps({"end": "closed"}))
