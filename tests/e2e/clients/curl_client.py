"""Reads with curl, as one would by hand: its output is split at empty lines, and after a cut, or a
clean end, it is called again with the last id.

Arguments: URL, last id or "", further arguments for curl.
"""

import subprocess
import sys

import lines

url, last, *further = sys.argv[1:]


def read(last):
    """The status of one call, `000` without an answer, and the last id."""
    command = ["curl", "--no-buffer", "--silent", "--show-error", "--max-time", "120", url]
    command += ["--write-out", "\n%{http_code} %{http_version}", *further]
    command += ["--header", f"Last-Event-ID: {last}"] if last else []
    frame = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        for line in curl.stdout:
            if not line.endswith(b"\n"):
                status, version = line.decode().split()
                if status != "000" and "--http2" in further and version != "2":
                    raise SystemExit(f"HTTP/{version} for HTTP/2")
                return status, last
            line = line.decode().rstrip("\n")
            if not line and "data" in frame:
                lines.tell(frame.get("id"), frame.get("event"), frame["data"])
                last = frame["id"]
            if not line:
                frame = {}
            name, _, value = line.partition(": ")
            frame[name] = value
    raise SystemExit("curl has not told the status")


for _attempt in lines.attempts():
    status, last = read(last)
    if status == "204":
        break
    if status not in ("000", "200"):
        raise SystemExit(f"status {status}")

lines.closed()
