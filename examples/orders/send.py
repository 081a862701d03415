"""Sends an order as the shop would, signed by Standard Webhooks.  python3 send.py ADDRESS FILE [SECRET]"""

import base64
import hashlib
import hmac
import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

SECRET = "whsec_YW4gZXhhbXBsZSBhbmQgbm8gc2VjcmV0"  # as in orders.yaml


def signed(body: bytes, delivery: str, secret: str) -> dict[str, str]:
    """The headers of a delivery. One that is sent again has the same id, so that it counts once."""
    stamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.new(key, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def send(address: str, file: str, secret: str = SECRET) -> int:
    """Send the file and print the answer; 1 when it was refused."""
    body = Path(file).read_bytes()
    event = json.loads(body)
    headers = signed(body, f"{event['type']}-{event['order']['id']}", secret)
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.netloc, timeout=30)
    connection.request("POST", where.path, body, headers)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
    return 0 if answer.status < 300 else 1


if __name__ == "__main__":
    sys.exit(send(*sys.argv[1:]))
