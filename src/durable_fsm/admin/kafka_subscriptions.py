"""Kafka subscriptions at Restate's admin API: compare those that charts declare with those that exist.

`changes` computes the difference; each `Change` makes one step of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from durable_fsm.admin.client import Admin, AdminRefused
from durable_fsm.admin.readings import Row
from durable_fsm.core.chart import Chart
from durable_fsm.core.sources import Kafka
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.names import Handler, forwarder_name, rejected_name, sink_of

BOOTSTRAP = "bootstrap.servers"

# The server's own configuration file spells the same setting in this way.
STATIC_BOOTSTRAP = "metadata.broker.list"


def source_uri(source: Kafka) -> str:
    """How Restate names a topic: `kafka://default/orders`."""
    return f"kafka://{source.cluster}/{source.topic}"


def sink_uri(chart: Chart, source: Kafka) -> str:
    """How Restate names the end of a subscription: `service://Order/_kafka`."""
    return "service://" + "/".join(sink_of(chart, source))


@dataclass(frozen=True)
class Change:
    """One step towards the declared subscriptions: its description, and a function that makes it.

    A change that could deliver records twice gives the reason in `held_back`, and waits for `--replace`.
    """

    description: str
    make: Callable[[Admin], object] = field(repr=False, compare=False)
    held_back: str = ""


def changes(
    admin: Admin, charts: Iterable[Chart], brokers: Mapping[str, str], *, replace: bool = False
) -> list[Change]:
    """List the changes after which exactly the declared topics are subscribed to these charts.

    Args:
        brokers: addresses of Kafka clusters, by name.
        replace: also make the changes that could deliver records twice.

    Raises:
        AdminRefused: the admin API cannot be reached, or does not know a service or a cluster.
    """
    charts, clusters = list(charts), admin.clusters()
    for chart in charts:
        _refuse_unregistered(admin, chart)
    found = _cluster_changes(clusters, charts, brokers)
    there = admin.subscriptions()
    for chart in charts:
        sinks = {
            f"service://{chart.name}/{Handler.KAFKA_RECORD}",
            f"service://{forwarder_name(chart)}/{Handler.FORWARD}",
        }
        ours = [subscription for subscription in there if subscription["sink"] in sinks]
        found += _subscription_changes(chart, ours, replace=replace)
    return found


def _refuse_unregistered(admin: Admin, chart: Chart) -> None:
    for service, handler in sorted({sink_of(chart, source) for source in chart.hosting.sources}):
        known = admin.handlers(service)
        if not known:
            problem = f"Service '{service}' is not registered at {admin.url}. Register the deployment that serves it."
            raise AdminRefused(problem)
        if handler not in known:
            problem = f"Service '{service}' at {admin.url} has no handler '{handler}': the deployment is older than"
            raise AdminRefused(f"{problem} this declaration. Register the new one.")


def _cluster_changes(
    there: Mapping[str, Mapping[str, str]], charts: list[Chart], brokers: Mapping[str, str]
) -> list[Change]:
    wanted = sorted({source.cluster for chart in charts for source in chart.hosting.sources})
    if unused := sorted(brokers.keys() - set(wanted)):
        raise AdminRefused(f"--brokers names cluster '{unused[0]}', and no source uses it: {', '.join(wanted) or '-'}.")
    found: list[Change] = []
    for name in wanted:
        address = brokers.get(name)
        if name not in there:
            if address is None:
                raise AdminRefused(
                    f"Restate knows no Kafka cluster '{name}'. Say where its brokers are: --brokers {name}=host:9092"
                )
            found.append(_create_cluster(name, address))
        elif address is not None and address not in (there[name].get(BOOTSTRAP), there[name].get(STATIC_BOOTSTRAP)):
            found.append(_move_cluster(name, there[name], address))
    return found


def _create_cluster(name: str, address: str) -> Change:
    body: Json = {"name": name, "properties": {BOOTSTRAP: address}}
    return Change(f"create cluster '{name}' at {address}", lambda admin: admin.ask("POST", "/kafka-clusters", body))


def _move_cluster(name: str, properties: Mapping[str, str], address: str) -> Change:
    body: Json = {"properties": {**properties, BOOTSTRAP: address}}
    words = f"move cluster '{name}' from {properties.get(BOOTSTRAP)} to {address}"
    return Change(words, lambda admin: admin.ask("PATCH", f"/kafka-clusters/{name}", body))


def _subscription_changes(chart: Chart, ours: list[Row], *, replace: bool) -> list[Change]:
    """Create, replace or delete subscriptions of one chart; *ours* are those that exist."""
    found: list[Change] = []
    left = list(ours)
    for source in chart.hosting.sources:
        of_topic = [one for one in left if one["source"] == source_uri(source)]
        left = [one for one in left if one not in of_topic]
        kept = next((one for one in of_topic if one["sink"] == sink_uri(chart, source)), None)
        kept = kept or (of_topic[0] if of_topic else None)
        if kept is None:
            found.append(_create(chart, source))
        elif differs := _differences(chart, source, kept):
            found.append(_replace(chart, source, kept, differs, replace=replace))
        found += [_delete(one, "a second one of its topic") for one in of_topic if one is not kept]
    return found + [_delete(one, "no longer declared") for one in left]


def options_of(source: Kafka) -> dict[str, str]:
    """The consumer's settings that a source declares."""
    group = {} if source.group is None else {"group.id": source.group}
    return {"auto.offset.reset": source.start, **source.options, **group}


def _differences(chart: Chart, source: Kafka, subscription: Row) -> list[str]:
    options: Mapping[str, str] = subscription["options"]
    found = [
        f"{name} is {options.get(name, 'not set')}, declared {value}"
        for name, value in sorted(options_of(source).items())
        if options.get(name) != value
    ]
    if subscription["sink"] != sink_uri(chart, source):
        found.append(f"it ends in {subscription['sink']}, declared {sink_uri(chart, source)}")
    return found


def _create(chart: Chart, source: Kafka, options: Mapping[str, str] | None = None) -> Change:
    body: Json = {
        "source": source_uri(source),
        "sink": sink_uri(chart, source),
        "options": {**options_of(source), **(options or {})},
    }
    words = f"subscribe {sink_uri(chart, source)} to {source_uri(source)}"
    return Change(words, lambda admin: admin.ask("POST", "/subscriptions", body))


def _delete(subscription: Row, reason: str) -> Change:
    words = f"delete {subscription['id']}, {subscription['source']} to {subscription['sink']}: {reason}"
    return Change(words, lambda admin: admin.ask("DELETE", f"/subscriptions/{subscription['id']}"))


def _replace(chart: Chart, source: Kafka, subscription: Row, differs: list[str], *, replace: bool) -> Change:
    # The new subscription joins the consumer group of the old one, so that it continues at the committed offsets.
    group = source.group or subscription["options"]["group.id"]
    create = _create(chart, source, {"group.id": group})

    def make(admin: Admin) -> None:
        admin.ask("DELETE", f"/subscriptions/{subscription['id']}")
        create.make(admin)

    held = "" if replace else "records of the last seconds may be processed twice; do it with --replace"
    return Change(f"replace {subscription['id']}, {source_uri(source)}: {'; '.join(differs)}", make, held)


# ── dead letters ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Poison:
    """The events of topics and webhooks that no machine could take.

    Attributes:
        total: how many were rejected.
        letters: the latest of these, as dead letters.
        parked: how many will be sent again.
        waiting: how many are on their way to a machine, most of them because it has no room to defer them.
    """

    chart: str
    total: int
    letters: list[Row]
    parked: int
    waiting: int


def poison(admin: Admin, chart: Chart) -> Poison:
    """Read the rejected events, the latest first."""
    name = rejected_name(chart)
    rows = admin.query(f"SELECT key, value_utf8 FROM state WHERE service_name = '{name}'")
    totals = [int(row["value_utf8"]) for row in rows if row["key"] == "total"]
    letters: list[Row] = [loads(row["value_utf8"]) for row in rows if row["key"].startswith("letter-")]
    letters.sort(key=lambda letter: (letter["at"], letter["source"], letter["number"]), reverse=True)
    [parked] = admin.query(
        "SELECT count(*) AS parked FROM sys_invocation WHERE status = 'scheduled'"
        f" AND target_service_name = '{chart.name}' AND target_handler_name = '{Handler.INCOMING}'"
    )
    [waiting] = admin.query(
        "SELECT count(*) AS waiting FROM sys_invocation WHERE status <> 'completed'"
        f" AND target_service_name = '{forwarder_name(chart)}'"
    )
    return Poison(chart.name, sum(totals), letters, int(parked["parked"]), int(waiting["waiting"]))
