"""The commands about machines, on a real server: what they say, and what becomes of the machines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.testing import RestateServer, Served, free_port, wait_until
from tests.web import web

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
CHART = f"{HERE / 'kiosk.py'}:Kiosk"


@dataclass
class Shop:
    """A server of its own with kiosks, and somebody at the command line."""

    server: RestateServer
    served: Served

    def __call__(self, *arguments: str, input: str | None = None) -> Result:
        places = ["--ingress", self.server.ingress_url, "--admin", self.server.admin_url]
        return CliRunner().invoke(main, [arguments[0], *places, *arguments[1:]], input=input)

    def done(self, *arguments: str, input: str | None = None) -> str:
        result = self(*arguments, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:  # JSON
        return json.loads(self.done(*arguments, "--json"))

    def refused(self, *arguments: str, code: int) -> str:
        result = self(*arguments)
        assert result.exit_code == code, result.output
        return result.stderr

    def opened(self, *keys: str) -> None:
        for key in keys:
            self.done("send", f"Kiosk/{key}", "unlock", '{"owner": "Ada"}')


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    log = tmp_path_factory.mktemp("kiosk") / "service.log"
    with RestateServer() as server, Served.begin("kiosk:app", server, log=log, app_dir=HERE) as served:
        yield Shop(server, served)


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_says_what_a_machine_takes_and_why_not_the_rest(shop: Shop) -> None:
    shop.done("send", "Kiosk/events", "unlock", '{"owner": "Ada"}')

    told = shop.done("events", "Kiosk/events", "--chart", CHART).splitlines()

    assert told[0].split() == ["event", "accepts", "why", "not", "payload"]
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in told[1:]}
    assert rows["sell"] == "yes – integer"
    assert rows["unlock"] == "no not accepted in open; accepted in closed Unlock"
    assert {one["event"]: one["accepts"] for one in shop.json("events", "Kiosk/events")}["lock"] == "yes"


def test_show_says_where_a_machine_is_and_what_it_waits_for(shop: Shop) -> None:
    shop.opened("shown")

    told = {
        line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in shop.done("show", "Kiosk/shown").splitlines()
    }

    assert told["machine"] == "Kiosk/shown"
    assert (told["status"], told["states"], told["accepts"]) == ("running", "open", "check_books, lock, sell")
    assert json.loads(told["data"]) == {"calm": False, "cents": 0, "owner": "Ada"}
    assert told["timers"].startswith("nightfall at ")
    assert "failure" not in told
    assert shop.json("show", "Kiosk/shown")["leaves"] == ["open"]
    assert "no such machine" in shop.refused("show", "Kiosk/nobody", code=5)


def test_history_says_what_a_machine_has_done(shop: Shop) -> None:
    shop.opened("history")
    shop.done("send", "Kiosk/history", "sell", "5")

    lines = shop.done("history", "Kiosk/history").splitlines()

    assert lines[0].split() == ["n", "at", "event", "outcome", "left", "entered", "note"]
    assert [line.split()[2] for line in lines[1:]] == ["create", "unlock", "sell"]
    assert [entry["event"] for entry in shop.json("history", "Kiosk/history", "--after", "2")] == ["sell"]
    assert len(shop.json("history", "Kiosk/history", "--last", "1")) == 1


def test_watch_tells_what_happens_until_the_machine_ends(shop: Shop) -> None:
    shop.done("send", "Kiosk/watched", "unlock", '{"owner": "Ada"}')
    command = [sys.executable, "-m", "durable_fsm.cli", "watch", "Kiosk/watched", "--interval", "50ms"]
    places = ["--ingress", shop.server.ingress_url, "--admin", shop.server.admin_url]

    with subprocess.Popen([*command, *places], stdout=subprocess.PIPE, text=True) as watching, ExitStack() as end:
        end.callback(watching.kill)
        assert watching.stdout is not None
        assert watching.stdout.readline() == "Kiosk/watched is running in open\n"
        shop.done("send", "Kiosk/watched", "lock")
        assert watching.stdout.readline().split("  ")[1:] == ["lock", "taken", "open → closed\n"]
        shop.done("send", "Kiosk/watched", "demolish")
        assert watching.stdout.readline().split("  ")[1:] == ["demolish", "taken", "closed → gone\n"]
        assert watching.wait(20) == 0


def test_list_filters_machines(shop: Shop) -> None:
    shop.opened("list-a", "list-b", "list-c")
    shop.done("send", "Kiosk/list-b", "lock")
    shop.done("send", "Kiosk/list-c", "check_books")
    shop.done("wait", "Kiosk/list-c", "--status", "failed")

    def keys(*conditions: str) -> set[str]:
        return {row["key"] for row in shop.json("list", "Kiosk", *conditions) if row["key"].startswith("list-")}

    assert keys() == {"list-a", "list-b", "list-c"}
    assert keys("--state", "open") == {"list-a"}
    assert keys("--failed") == keys("--status", "failed") == {"list-c"}
    assert keys("--version", "2") == keys("--parked") == keys("--stuck") == keys("--older-than", "1h") == set()
    assert keys("--version", "1", "--state", "closed", "--chart", CHART) == {"list-b"}
    assert "'hall' is compared with innermost states" in shop.done("list", "Kiosk", "--state", "hall")
    assert "there is no chart 'Kiosc' at http" in shop.refused("list", "Kiosc", code=2)
    assert "It has 'Kiosk'. Did you mean 'Kiosk'?" in shop.refused("export", "Kiosc", code=2)
    assert "It has 'Kiosk'. Did you mean 'Kiosk'?" in shop.refused(
        "send", "Kiosc", "lock", "--where", "state=open", code=2
    )
    assert "has no state 'opened'. Did you mean 'open'?" in shop.refused(
        "list", "Kiosk", "--state", "opened", "--chart", CHART, code=2
    )
    everywhere = [row for row in shop.json("list", "--state", "open") if row["key"].startswith("list-")]
    assert [(row["chart"], row["key"]) for row in everywhere] == [("Kiosk", "list-a")]
    assert shop.json("list", "--state", "open", "--chart", CHART) == shop.json("list", "--state", "open")
    few = shop("list", "Kiosk", "--limit", "1")
    server, more, as_of = few.stderr.splitlines()
    assert as_of.startswith("As of ")
    assert (len(few.stdout.splitlines()), more) == (2, "There are more: --limit 10")
    assert server.startswith(f"Server: ingress {shop.server.ingress_url} (--ingress), admin ")


# ── acting ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_list_and_send_find_machines_by_an_indexed_field(shop: Shop) -> None:
    for key in ("where-a", "where-b"):
        shop.done("send", f"Kiosk/{key}", "unlock", '{"owner": "Hopper"}')
    shop.done("send", "Kiosk/where-b", "lock")

    def keys(*conditions: str) -> list[str]:
        return [row["key"] for row in shop.json("list", "Kiosk", *conditions)]

    wait_until(lambda: keys("--where", "owner=Hopper") == ["where-a", "where-b"], what="both to be listed")
    assert keys("--where", "owner=Hopper", "--where", "state=closed") == ["where-b"]
    assert keys("--where", "owner=Nobody") == []
    assert "where-a" in shop.done("send", "Kiosk", "sell", "3", "--where", "owner=Hopper", "--where", "state=open")
    assert "Did you mean 'owner'?" in shop.refused("list", "Kiosk", "--where", "ower=Hopper", code=4)
    assert "With --where, name the CHART." in shop.refused("list", "--where", "owner=Hopper", code=2)


def test_send_takes_a_payload_from_anywhere_and_shows_the_receipt(shop: Shop, tmp_path: Path) -> None:
    owner = tmp_path / "owner.json"
    owner.write_text('{"owner": "Grace"}')

    told = shop.done("send", "Kiosk/a/b", "unlock", f"@{owner}").splitlines()
    assert ["outcome", "taken"] in [line.split() for line in told]
    assert ["key", "a/b"] in [line.split() for line in told]
    assert shop.done("send", "Kiosk/a/b", "sell", "-", input="7")
    first = shop.json("send", "Kiosk/a/b", "sell", "3", "--idempotency-key", "k-1")
    assert shop.json("send", "Kiosk/a/b", "sell", "3", "--idempotency-key", "k-1") == first
    assert first["reply"] == 10
    assert shop.json("send", "Kiosk/a/b", "sell", "1", "--delay", "100ms")["reply"] == 11
    assert "is on its way as inv_" in shop.done("send", "Kiosk/a/b", "sell", "1", "--one-way")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["Kiosk/wrong", "sell", "1"], 4, "Kiosk/wrong: event 'sell' is not accepted in state 'closed'."),
        (["Kiosk/wrong", "sel", "1"], 4, "Did you mean 'sell'?"),
        (["Kiosk/wrong", "unlock", '{"owner": ""}'], 4, "$.owner"),
        (["Kiosk/wrong", "nightfall"], 4, "is private"),
        (["Kiosk/wrong", "sell", "blue"], 2, "this is not valid JSON"),
        (["Kiosk/wrong", "sell", "@nowhere"], 2, "'nowhere' cannot be read"),
        (
            ["Kiosk", "sell"],
            2,
            "'Kiosk' does not name a machine. Write CHART/KEY, or say which of them: --where state=…",
        ),
        (["Kiosk/wrong", "sell", "--yes"], 2, "--yes and --run belong to --where."),
        (["Kiosk", "sell", "--where", "colour"], 2, "'colour' is not a condition."),
        (["Kiosk", "sell", "--where", "colour=blue"], 4, "there is no index of 'colour'. It has one of 'owner'."),
        (["Kiosk/wrong", "sell", "--where", "state=open"], 2, "name the CHART alone"),
        (["Nobody/x", "sell"], 2, "there is no chart 'Nobody' at http"),
    ],
)
def test_send_says_what_is_wrong(shop: Shop, arguments: list[str], code: int, words: str) -> None:
    assert words in shop.refused("send", *arguments, code=code)


def test_an_event_goes_to_all_machines_that_match(shop: Shop) -> None:
    keys = [f"many-{number}" for number in range(5)]
    for key in keys:
        shop.done("send", f"Kiosk/{key}", "unlock", '{"owner": "many"}')
    shop.done("send", "Kiosk/many-4", "check_books")
    shop.done("wait", "Kiosk/many-4", "--status", "failed")
    machines = {row["key"] for row in shop.json("list", "Kiosk", "--state", "open")}

    dry = shop.done("send", "Kiosk", "sell", "2", "--where", "state=open")
    assert dry.startswith(f"Would send 'sell' to {len(machines)} machines of Kiosk: ")
    assert shop.json("show", "Kiosk/many-0")["data"]["cents"] == 0
    first = shop.json(
        "send", "Kiosk", "sell", "2", "--where", "state=open", "--where", "status=running", "--yes", "--run", "r-1"
    )
    again = shop.json("send", "Kiosk", "sell", "2", "--where", "state=open", "--yes", "--run", "r-1")

    assert (first["sent"], first["taken"], again["refused"]) == (len(machines), len(machines), {})
    assert set(keys[:4]) <= machines
    assert [shop.json("show", f"Kiosk/{key}")["data"]["cents"] for key in keys] == [2, 2, 2, 2, 0]
    refused = shop("send", "Kiosk", "sell", "2", "--where", "status=failed", "--yes")
    assert refused.exit_code == 1
    assert "Kiosk/many-4: event 'sell' is not accepted" in refused.stdout


def test_wait_returns_when_the_condition_is_met_and_fails_when_it_cannot_be(shop: Shop) -> None:
    told = shop.json("wait", "Kiosk/waited", "--event", "unlock", "--payload", '{"owner": "Ada"}', "--state", "open")

    assert (told["event"], told["configuration"]) == ("unlock", ["open"])
    assert "was not met within" in shop.refused("wait", "Kiosk/waited", "--state", "gone", "--timeout", "100ms", code=5)
    assert "Name one condition" in shop.refused("wait", "Kiosk/waited", code=2)
    assert "is not a duration" in shop.refused("wait", "Kiosk/waited", "--settled", "--timeout", "soon", code=2)


def test_a_machine_is_repaired_cancelled_and_deleted(shop: Shop) -> None:
    shop.opened("mended")
    shop.done("send", "Kiosk/mended", "check_books")
    shop.done("wait", "Kiosk/mended", "--status", "failed")

    assert shop.json("repair", "Kiosk/mended", "--move", "open", "--reason", "found them")["status"] == "running"
    assert "no exclusive activity is running" in shop.refused("cancel", "Kiosk/mended", code=5)
    assert "Choose one action" in shop.refused("repair", "Kiosk/mended", "--reason", "why", code=2)
    assert "Choose one: --compensate undoes" in shop.refused(
        "delete", "Kiosk/mended", "--compensate", "--abandon", code=2
    )
    no = shop("delete", "Kiosk/mended", input="n\n")
    assert (no.exit_code, "Delete Kiosk/mended? [y/N]" in no.stderr) == (1, True)
    assert shop.json("delete", "Kiosk/mended", "--yes")["outcome"] == "deleted"


# ── moving ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_machines_go_to_another_server(shop: Shop, tmp_path: Path) -> None:
    shop.done("send", "Kiosk/moved-1", "unlock", '{"owner": "Ada"}')
    shop.done("send", "Kiosk/moved-1", "lock")
    shop.opened("moved-2")
    file = tmp_path / "kiosks.jsonl"

    assert (
        shop("export", "Kiosk", "moved-1", "moved-2", "-o", str(file))
        .stderr.partition(", as of ")[0]
        .endswith("\n2 machines of Kiosk written")
    )
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()] == ["moved-1", "moved-2"]
    told = shop.refused("import", str(file), code=1)
    assert "Nothing was imported" in told
    assert "Kiosk/moved-1: the machine exists. Delete it first." in told
    with RestateServer() as other:
        other.register(shop.served.process.url)
        there = Shop(other, shop.served)
        assert "Kiosk/moved-2: it still has timers." in there.refused("import", str(file), code=1)
        assert there.done("import", str(file), "--skip") == "1 machine imported, 1 left out.\n"
        assert there.json("show", "Kiosk/moved-1")["data"]["owner"] == "Ada"
        assert there.json("history", "Kiosk/moved-1")[-1]["event"] == "lock"
        assert there.json("send", "Kiosk/moved-1", "unlock", '{"owner": "Grace"}')["configuration"] == ["open"]
    assert "There is no machine of Kiosk with the key nobody." in shop.refused("export", "Kiosk", "nobody", code=1)
    file.write_text("nonsense\n")
    assert "Line 1 was not written by export" in shop.refused("import", str(file), code=2)


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_doctor_finds_nothing_where_nothing_is_wrong() -> None:
    with RestateServer() as server:
        shop = Shop(server, None)  # type: ignore[arg-type]  # nothing is served

        assert shop.done("doctor") == "Nothing is wrong.\n"
        away = ["--ingress", f"http://127.0.0.1:{free_port()}", "--admin", server.admin_url]
        found = CliRunner().invoke(main, ["doctor", *away])
        assert (found.exit_code, found.stdout.splitlines()[1]) == (1, "    → start it, or name another with --ingress")
    assert "cannot be reached" in shop.refused("doctor", code=7)


def test_doctor_finds_what_is_wrong_and_says_what_mends_it(shop: Shop, tmp_path: Path) -> None:
    with RestateServer() as server, Served.begin("kiosk:app", server, log=tmp_path / "log", app_dir=HERE) as served:
        ill = Shop(server, served)
        ill.opened("ill")
        ill.done("send", "Kiosk/ill", "check_books")
        ill.done("wait", "Kiosk/ill", "--status", "failed")
        served.kill()
        ill.done("send", "Kiosk/stuck", "unlock", '{"owner": "Ada"}', "--one-way")

        # Between two pauses an attempt runs for a moment; then doctor has nothing to report about it.
        found = wait_until(lambda: backing_off(ill), what="doctor to see a pause between two attempts")

        assert found["failed"]["what"] == "Kiosk/ill has failed: the books are lost"
        assert found["failed"]["remedy"] == "durable-fsm repair Kiosk/ill --help"
        assert found["backing-off"]["what"].startswith("Kiosk/stuck/send is tried again")
        assert ill("doctor").exit_code == 1
        served.restart()
        wait_until(
            lambda: web.post(f"{server.ingress_url}/Kiosk/stuck/snapshot").is_success,
            what="it to be taken",
        )


def test_keys_and_messages_cannot_forge_a_line_or_move_the_cursor(shop: Shop) -> None:
    key = "evil\x1b[2J\nKiosk/fine\u202e; rm -rf"
    shop.opened(key)
    shop.done("send", f"Kiosk/{key}", "check_books")
    shop.done("wait", f"Kiosk/{key}", "--status", "failed")

    told = [
        shop.done("show", f"Kiosk/{key}"),
        shop.done("list", "Kiosk"),
        shop.done("history", f"Kiosk/{key}"),
        shop.done("show", f"Kiosk/{key}", "--json"),
        shop("doctor").stdout,
        shop.refused("send", f"Kiosk/{key}", "sell", "1", code=4),
    ]

    assert "".join(told).replace("\n", "").isprintable()
    assert not any(line.startswith("Kiosk/fine") for text in told for line in text.splitlines())
    assert "evil\\x1b[2J\\nKiosk/fine\\u202e; rm -rf has failed" in told[4]
    assert "durable-fsm repair 'Kiosk/evil" in told[4]
    assert json.loads(told[3])["key"] == key


def backing_off(shop: Shop) -> dict[str, dict[str, str]] | None:
    """What doctor finds, by kind, once an invocation that is tried again is among it."""
    found = {one["kind"]: one for one in json.loads(shop("doctor", "--json").stdout)}
    return found if "backing-off" in found else None
