"""What every client on Python prints: one JSON line for each event that it delivers, and a last one
that says that the server has told it that nothing more will come (204). And how often it asks again.
"""

import hashlib
import json
import time


def tell(id, event, data):
    data = data.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    print(json.dumps({"id": id, "event": event, "length": len(data), "sha256": sha256}), flush=True)


def closed():
    print(json.dumps({"end": "closed"}), flush=True)


def attempts():
    """Many, with a little time between; then an error: nobody has said that the end is reached."""
    for _ in range(300):
        yield
        time.sleep(0.1)
    raise SystemExit("asked too often")
