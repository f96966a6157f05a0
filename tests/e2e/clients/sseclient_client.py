"""Reads with requests and sseclient-py: after a cut, or a clean end, it asks again with its last id.

Arguments: URL, last id or "".
"""

import sys

import requests
from sseclient import SSEClient

import lines

url, last = sys.argv[1:3]

for _attempt in lines.attempts():
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=30) as response:
            if response.status_code == 204:
                break
            # The response itself comes in pieces of 128 bytes, each of which this library appends
            # to a copy of all before it: an event of 8 MB would take minutes.
            for frame in SSEClient(response.iter_content(64 << 10)).events():
                lines.tell(frame.id, frame.event, frame.data)
                last = frame.id
    except requests.RequestException as cut:
        print(f"cut: {cut!r}", file=sys.stderr)

lines.closed()
