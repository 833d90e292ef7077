"""The outside services of uploads: a bucket store and a mail server.

`python -m machines.data_upload.world` serves them. The store refuses a text that contains a virus, and the mail server does
not know the domain `nowhere.example`.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve


def create_bucket(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"bucket": f"bucket-{world.count('/buckets') + 1}"}


def upload(world: World, key: str, body: dict[str, Any]) -> Answer:
    if "virus" in body["text"]:
        return 400, {"reason": "the text contains a virus"}
    return 201, {"url": f"https://{body['bucket']}.example/{len(body['text'])}"}


def mail(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["to"].endswith("@nowhere.example"):
        return 404, {"reason": "there is no such domain"}
    return 201, {}


if __name__ == "__main__":
    serve({"/buckets": create_bucket, "/uploads": upload, "/mails": mail}, __doc__)
