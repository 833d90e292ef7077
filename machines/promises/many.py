"""Many processes and one promise: some await it, others race to complete it.

    python -m machines.promises.many p-1 --waiters 10 --completers 3

Each process prints its number and the value that it got: all print the same one.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import sys

from machines.promises.promise import PromiseRejected, promise


def wait(id: str) -> None:
    try:
        tell(asyncio.run(promise(id).get()))
    except PromiseRejected as error:
        tell(error.message)


def complete(id: str, value: str) -> None:
    tell(asyncio.run(promise(id).resolve(value)))


def tell(value: object) -> None:
    sys.stdout.write(f"{os.getpid()} {value}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Many processes and one promise.")
    parser.add_argument("id")
    parser.add_argument("--waiters", type=int, default=10)
    parser.add_argument("--completers", type=int, default=3)
    wanted = parser.parse_args()
    begun = multiprocessing.get_context("fork")  # the imports of this process are those of all
    processes = [begun.Process(target=wait, args=(wanted.id,)) for _ in range(wanted.waiters)]
    processes += [begun.Process(target=complete, args=(wanted.id, f"from {n}")) for n in range(wanted.completers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
