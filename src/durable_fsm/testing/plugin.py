"""The pytest plugin: fixtures for a real Restate server, real service processes and a log of effects.

    restate_server     (session)  a native server; if a test kills it, it is restarted for the next test
    replaying_server   (session)  the same, replaying every invocation at each await
    fresh_server       (function) a server for one test
    effects            (function) an `EffectLog`; services that `serve` starts find it by themselves
    explored           (function) `explored(Order)` makes every move of a chart, and fails if something is found
    serve              (function) `serve("shop:app")` starts a process, registers it, returns a `Served`

pytest imports this module in every project that has durable_fsm installed. Until a fixture is used, it must import
nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from datetime import timedelta

    from durable_fsm.explore.domains import Domain
    from durable_fsm.explore.properties import Property
    from durable_fsm.explore.report import Report
    from durable_fsm.local.process import ServiceProcess
    from durable_fsm.local.server import RestateServer
    from durable_fsm.testing.application import Served
    from durable_fsm.testing.coverage import TransitionCoverage
    from durable_fsm.testing.effects import EffectLog

__all__ = ["Explore", "Serve", "effects", "explored", "fresh_server", "replaying_server", "restate_server", "serve"]

_COVERAGE: pytest.StashKey[TransitionCoverage] = pytest.StashKey()
_OUTPUT = "durable_fsm_coverage"
_SHARED = pytest.StashKey["list[RestateServer]"]()
_LOGS = pytest.StashKey["list[_Log]"]()
_SHOWN_LINES = 60


class Serve(Protocol):
    """The type of the fixture `serve`."""

    def __call__(
        self,
        app: str,
        *,
        on: RestateServer | None = None,
        env: Mapping[str, str] | None = None,
        http1: bool = False,
        path: str = "",
    ) -> Served:
        """Serve *app* (`"module:attribute"`, searched beside the test first) in a process, and register it.

        Args:
            on: The server; by default `restate_server`.
            env: Added to the environment of the process.
            http1: Let Restate use HTTP/1.1.
            path: Where *app* mounts the application of `durable_fsm.app`, if FastAPI or another framework serves it.
        """
        ...


class Explore(Protocol):
    """The type of the fixture `explored`."""

    def __call__(
        self,
        target: object,
        *,
        domains: Sequence[Domain] = (),
        properties: Sequence[Property] = (),
        view: Mapping[str, Callable[[Any], object]] | None = None,  # Any: a member of the data, as plain JSON
        k: int = 1,
        depth: int | None = None,
        seconds: float | None = None,
        in_order: bool = False,
        clock: Sequence[timedelta] = (),
        with_children: bool = False,
    ) -> Report:
        """Explore a chart, or the module of a proofs file, and fail the test if something is found.

        Args:
            target: A definition that `chart_from` reads, or a module with `chart`, `domains`, `properties` and `view`.
            domains: The values of events and results, in place of those made from their types.
            properties: Claims about the chart, beside those that hold of every chart.
            view: How members of the data count, such as `{"items": len}`.
            k: How often equal things count.
            depth: The longest path, in moves.
            seconds: The longest search.
            in_order: Whether timers arrive in the order in which they are due.
            clock: How far the clock may move before an event or an outcome, beside not at all.
            with_children: Whether the machines that run inside take part.
        """
        ...


@pytest.fixture
def explored() -> Explore:
    """Explore a chart: `explored(Order)`, or `explored(proofs.order)`. The report says what was seen."""
    from durable_fsm.testing.exploring import explore_or_fail

    return explore_or_fail


@pytest.fixture(scope="session")
def restate_server(request: pytest.FixtureRequest) -> Iterator[RestateServer]:
    """A native Restate server for the whole run. Everything that `serve` registers is removed after the test."""
    yield from _shared_server(request, always_replay=_replay_wanted(request.config))


@pytest.fixture(scope="session")
def replaying_server(request: pytest.FixtureRequest) -> Iterator[RestateServer]:
    """A native Restate server that replays every invocation at each await, for the whole run."""
    yield from _shared_server(request, always_replay=True)


@pytest.fixture
def fresh_server(request: pytest.FixtureRequest) -> Iterator[RestateServer]:
    """A native Restate server for this test alone."""
    with _new_server(request.config, always_replay=_replay_wanted(request.config)) as server:
        _watch(request, server.process)
        yield server


@pytest.fixture
def effects() -> Iterator[EffectLog]:
    """An empty log of side effects, outside the processes of services, so it survives when they are killed."""
    from durable_fsm.testing.effects import EffectLog

    with EffectLog() as log:
        yield log


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serve]:
    """Start ASGI applications as processes and register them; after the test all are killed and cleared."""
    from durable_fsm.testing.application import Served

    running: list[Served] = []

    def start(
        app: str,
        *,
        on: RestateServer | None = None,
        env: Mapping[str, str] | None = None,
        http1: bool = False,
        path: str = "",
    ) -> Served:
        server: RestateServer = on or request.getfixturevalue("restate_server")
        found: Mapping[str, str] = request.getfixturevalue("effects").env if "effects" in request.fixturenames else {}
        served = Served.begin(
            app,
            server,
            log=tmp_path / f"service-{len(running) + 1}.log",
            app_dir=request.path.parent,
            env={**found, **(env or {})},
            http1=http1,
            path=path,
        )
        running.append(served)
        _watch(request, served.process)
        return served

    yield start
    _bring_back_shared_servers(request.config)  # a server that was killed must run again to be cleared
    _all_of_them([served.close for served in reversed(running)])


# ── servers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--always-replay` and `--fsm-coverage`."""
    group = parser.getgroup("durable_fsm")
    group.addoption(
        "--fsm-coverage",
        metavar="FILE",
        help="write which transitions rehearsals took, for durable-fsm diagram --overlay coverage=FILE",
    )
    group.addoption(
        "--always-replay",
        action="store_true",
        help="let restate_server and fresh_server replay every invocation at each await",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker `server`, and count transitions if that is wanted."""
    config.stash[_SHARED] = []
    if config.getoption("--fsm-coverage"):
        from durable_fsm.testing import coverage
        from durable_fsm.testing.rehearsal import taken

        found = config.stash[_COVERAGE] = coverage.TransitionCoverage()
        taken.listeners.append(found.saw)
        config.add_cleanup(lambda: taken.listeners.remove(found.saw))
    config.addinivalue_line("markers", "server: needs a real Restate server, which is installed if there is none")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # Any: a worker of pytest-xdist, which need not be installed
    """Add the transitions that a worker has counted."""
    found: Mapping[str, Any] | None = getattr(node, "workeroutput", {}).get(_OUTPUT)
    if found is not None and _COVERAGE in node.config.stash:
        node.config.stash[_COVERAGE].add(found)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what a worker of pytest-xdist has counted, or write the file."""
    config = session.config
    if _COVERAGE not in config.stash:
        return
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[_OUTPUT] = config.stash[_COVERAGE].to_json()
    else:
        _tell(config, config.stash[_COVERAGE].write(Path(str(config.getoption("--fsm-coverage")))))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Restart the shared servers that the test killed."""
    _bring_back_shared_servers(item.config)


def _replay_wanted(config: pytest.Config) -> bool:
    return bool(config.getoption("--always-replay"))


def _shared_server(request: pytest.FixtureRequest, *, always_replay: bool) -> Iterator[RestateServer]:
    shared = request.config.stash[_SHARED]
    with _new_server(request.config, always_replay=always_replay) as server:
        shared.append(server)
        yield server
        shared.remove(server)


def _bring_back_shared_servers(config: pytest.Config) -> None:
    for server in config.stash[_SHARED]:
        if not server.process.alive:
            server.start()


def _new_server(config: pytest.Config, *, always_replay: bool) -> RestateServer:
    from durable_fsm.local import native
    from durable_fsm.local.failures import NativeServerError
    from durable_fsm.local.server import RestateServer

    try:
        binary = native.obtain(lambda news: _tell(config, news))
    except NativeServerError as error:
        pytest.fail(str(error), pytrace=False)
    return RestateServer(binary=binary, always_replay=always_replay)


def _tell(config: pytest.Config, news: str) -> None:
    """Show *news* at once: an installation takes a while."""
    # Any: pytest's own plugins, of which it publishes no types.
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    if capture is None or terminal is None:
        return
    with capture.global_and_fixture_disabled():
        terminal.write_line(f"\n{news}")


def _all_of_them(endings: list[Callable[[], None]]) -> None:
    """Call every one, even if others raise; then raise the first failure."""
    failures: list[Exception] = []
    for end in endings:
        try:
            end()
        except Exception as error:  # noqa: BLE001  (raised below, after all were called)
            failures.append(error)
    if failures:
        raise failures[0]


# ── logs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Log:
    """The part of a process's log that it wrote during one test."""

    def __init__(self, process: ServiceProcess, offset: int) -> None:
        self.title = f"log of {process.name}"
        self.path = process.log
        self._offset = offset

    def text(self) -> str:
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_SHOWN_LINES:])


def _watch(request: pytest.FixtureRequest, process: ServiceProcess) -> None:
    request.node.stash.setdefault(_LOGS, []).append(_Log(process, 0))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Remember the length of the shared servers' logs before the test."""
    logs = item.stash.setdefault(_LOGS, [])
    for server in item.config.stash[_SHARED]:
        log = server.process.log
        logs.append(_Log(server.process, log.stat().st_size if log.exists() else 0))
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure the lines that the processes logged during the test."""
    report = yield
    if report.failed:
        logs: list[_Log] = item.stash.setdefault(_LOGS, [])
        for log in logs:
            text = log.text()
            if text:
                report.sections.append((log.title, text))
    return report
