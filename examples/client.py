"""Ask `recsys serve` for a list, and report a click: python examples/client.py http://127.0.0.1:8000 movie 42"""

import json
import sys
from urllib.parse import quote
from urllib.request import Request, urlopen


def call(url, body=None):
    """Return the answer to a GET or, with a body, a POST."""
    headers = {"Content-Type": "application/json"}  # and "Authorization": "Bearer …" where the service has a token
    with urlopen(Request(url, None if body is None else json.dumps(body).encode(), headers), timeout=10) as answer:
        return json.load(answer)


service, domain, user = sys.argv[1:]
shown = call(f"{service}/v1/{domain}/users/{quote(user, safe='')}/recommendations?n=5")
for item in shown["recommendations"]:
    print(f"{item['rank']} {item['title']} {item.get('score', '')}")
clicked = {"user_id": user, "item_id": shown["recommendations"][0]["item_id"], "event": "click"}
print(call(f"{service}/v1/{domain}/feedback", clicked | {"list_id": shown["list_id"]}))
