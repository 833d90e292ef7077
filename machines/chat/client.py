"""The chat in a terminal: what you type is said to the session, and what the session has to say is printed.

python -m machines.chat.client --session ada
"""

from __future__ import annotations

import argparse
import select
import sys

from durable_fsm import SyncClient
from durable_fsm.errors import NotStarted
from machines.chat.data import Said, SessionData
from machines.chat.machine import ChatSession

OFTEN = 0.3
MARKS = {"user": ">", "assistant": "<", "task": "*", "error": "!"}


class Terminal:
    """One session, and the lines of it that have been printed."""

    def __init__(self, client: SyncClient, session: str) -> None:
        self.session = client.machine(ChatSession, session)
        self.printed = 0
        self.said = 0

    def say(self, text: str) -> None:
        self.session.send(ChatSession.say, Said(text=text))
        self.said += 1

    def show(self) -> bool:
        """Print what is new; True if every message has its answer."""
        try:
            view = self.session.snapshot()
        except NotStarted:
            return True
        data: SessionData = view.data
        for line in data.history:
            if line.n > self.printed:
                print(MARKS[line.who], line.text, *([f"[{line.quote}]"] if line.quote else []), flush=True)
                self.printed = line.n
        return "idle" in view.configuration

    def run(self) -> None:
        """Continue until the input ends, and all of it has been answered."""
        while True:
            if select.select([sys.stdin], [], [], OFTEN)[0]:
                text = sys.stdin.readline()
                if not text:
                    break
                if text.strip():
                    self.say(text.strip())
            self.show()
        while not self.show():
            select.select([], [], [], OFTEN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", default="terminal", help="the conversation to join; 'terminal' by default")
    parser.add_argument("--ingress", default="http://localhost:8080", help="the address of Restate's ingress")
    options = parser.parse_args()
    with SyncClient(options.ingress) as client:
        Terminal(client, options.session).run()


if __name__ == "__main__":
    main()
