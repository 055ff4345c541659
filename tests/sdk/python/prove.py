"""DigitalOcean's client for Python against the simulator.

Usage: prove.py IMAGE, with DIGITALOCEAN_API_URL and DIGITALOCEAN_TOKEN set.
"""

import http.server
import os
import sys
import threading
import time
from urllib.parse import parse_qs, urlparse

from azure.core.exceptions import HttpResponseError
from pydo import Client

with open(sys.argv[1], "rb") as file:
    IMAGE = file.read()


class Source(http.server.BaseHTTPRequestHandler):
    """Serves the image to HEAD and GET."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(IMAGE)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(IMAGE)

    def log_message(self, *_):
        pass


def until(ask, ready):
    """Asks until it is ready, as a user of the client has to."""
    for _ in range(100):
        answer = ask()
        if ready(answer):
            return answer
        time.sleep(0.25)
    raise TimeoutError("waited in vain")


def refused(status, call):
    """The call has to fail with this status, in whichever way the client tells it."""
    try:
        answer = call()
    except HttpResponseError as error:
        assert error.status_code == status, error
        return
    assert answer.get("id") in {401: ["unauthorized"], 404: ["not_found"]}[status], answer


def client(token):
    return Client(token, endpoint=os.environ["DIGITALOCEAN_API_URL"])


# The client sends tokens over https only, unless it is told that this is a test.
PLAIN = {"enforce_https": False}

source = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
threading.Thread(target=source.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{source.server_port}/disk.qcow2.gz"
do = client(os.environ["DIGITALOCEAN_TOKEN"])

# create
ids = []
for number in range(5):
    body = {
        "name": f"sdk-{number}",
        "url": url,
        "region": "nyc3",
        "distribution": "Debian",
        "description": "from Python",
        "tags": ["sdk"],
    }
    made = do.images.create_custom(body=body, **PLAIN)["image"]
    assert made["status"] == "NEW" and made["tags"] == ["sdk"], made
    ids.append(made["id"])

# get
for id in ids:
    image = until(
        lambda: do.images.get(image_id=id, **PLAIN)["image"],
        lambda image: image["status"] not in ("NEW", "pending"),
    )
    assert image["status"] == "available", image
    assert image["size_gigabytes"] > 0 and image["min_disk_size"] >= 1, image

# list, with pages: as the client's documentation follows them
listed, page = [], 1
while page:
    answer = do.images.list(private=True, per_page=2, page=page, **PLAIN)
    assert answer["meta"]["total"] == 5
    listed += [image["id"] for image in answer["images"]]
    following = answer["links"]["pages"].get("next")
    page = following and int(parse_qs(urlparse(following).query)["page"][0])
assert listed == ids, listed
assert do.images.list(tag_name="none", **PLAIN)["meta"]["total"] == 0

# update
body = {"name": "renamed", "description": "changed"}
assert do.images.update(image_id=ids[0], body=body, **PLAIN)["image"]["name"] == "renamed"
assert do.images.get(image_id=ids[0], **PLAIN)["image"]["description"] == "changed"

# actions
for body in ({"type": "transfer", "region": "fra1"}, {"type": "convert"}):
    action = do.image_actions.post(image_id=ids[0], body=body, **PLAIN)["action"]
    assert action["type"] == body["type"] and action["resource_id"] == ids[0], action
    done = until(
        lambda: do.image_actions.get(image_id=ids[0], action_id=action["id"], **PLAIN)["action"],
        lambda action: action["status"] != "in-progress",
    )
    assert done["status"] == "completed", done
    assert do.actions.get(action_id=action["id"], **PLAIN)["action"] == done
assert len(do.image_actions.list(image_id=ids[0], **PLAIN)["actions"]) == 2
assert do.images.get(image_id=ids[0], **PLAIN)["image"]["regions"] == ["nyc3", "fra1"]

# regions
slugs = [region["slug"] for region in do.regions.list(**PLAIN)["regions"]]
assert "nyc3" in slugs and "fra1" in slugs, slugs

# delete
for id in ids:
    do.images.delete(image_id=id, **PLAIN)
refused(404, lambda: do.images.get(image_id=ids[0], **PLAIN))
assert do.images.list(**PLAIN)["meta"]["total"] == 0

# a wrong token
refused(401, lambda: client("dop_v1_wrong").images.list(**PLAIN))

print("pydo: create, get, list, update, actions, regions, delete")
