"""Upload a text, and wait for its URL a few seconds; after that, ask for a mail, and leave.

    python -m machines.data_upload.client ada --email ada@example.org --text "A long text" --seconds 5

It prints the URL and exits with 0, or exits with 75 (try again later) because the URL comes by mail, or with 1 because the
upload was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from durable_fsm import Client
from durable_fsm.errors import DurableFSMError

BY_MAIL = os.EX_TEMPFAIL


async def upload(url: str, user: str, text: str, email: str, seconds: float) -> int:
    async with Client(url) as client:
        machine = client.machine("dataUploader", user)
        await machine.submit({"text": text})
        try:
            async with asyncio.timeout(seconds):
                print(await machine.output())
        except TimeoutError:
            await machine.tell("result_as_email", {"email": email})
            print(f"The upload takes a while. Its URL will be mailed to {email}.")
            return BY_MAIL
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("user", help="the key: a user uploads once")
    parser.add_argument("--email", required=True, help="where the URL goes if it takes longer")
    parser.add_argument("--text", default="a long text", help="the data")
    parser.add_argument("--seconds", type=float, default=5, help="how long to wait for the URL")
    parser.add_argument("--url", default="http://localhost:8080", help="of Restate's ingress")
    given = parser.parse_args()
    try:
        return asyncio.run(upload(given.url, given.user, given.text, given.email, given.seconds))
    except DurableFSMError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
