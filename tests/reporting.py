"""A pytest plugin: a failure is printed in full when it happens, not at the end. conftest.py of the checkout loads it."""

from __future__ import annotations

from collections.abc import Generator

import pytest


class Reporting:
    """Prints failures of tests and of collection, and keeps pytest from printing them again in its summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._failed: set[str] = set()

    @pytest.hookimpl(trylast=True)  # after the F of the progress line
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
            self._print(report, "FAILED" if report.when == "call" else f"ERROR at {report.when}")
        elif report.when == "teardown" and report.nodeid in self._failed:
            self._print_sections(report, "teardown")

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._print(report, "ERROR at collection")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None, None, None]:
        style, self._config.option.tbstyle = self._config.option.tbstyle, "no"
        try:
            return (yield)
        finally:
            self._config.option.tbstyle = style

    def _print(self, report: pytest.TestReport | pytest.CollectReport, what: str) -> None:
        self._new_line()
        writer = self._config.get_terminal_writer()
        writer.sep("_", f"{what}: {report.nodeid}", red=True, bold=True)
        if self._config.option.tbstyle != "no":
            report.toterminal(writer)
            self._print_sections(report)
        writer.flush()

    def _print_sections(self, report: pytest.TestReport | pytest.CollectReport, named: str = "") -> None:
        """Print what was captured: everything, or the sections with this word in their title."""
        wanted: str = self._config.option.showcapture
        for title, content in report.sections:
            if wanted != "no" and named in title and (wanted == "all" or wanted in title):
                self._new_line()
                writer = self._config.get_terminal_writer()
                writer.sep("-", title)
                writer.line(content.removesuffix("\n"))

    def _new_line(self) -> None:
        writer = self._config.get_terminal_writer()
        if writer.width_of_current_line:
            writer.line()


def pytest_configure(config: pytest.Config) -> None:
    worker = hasattr(config, "workerinput")  # of pytest-xdist: its reports are printed by the process that started it
    if not worker and not config.option.usepdb:  # pdb prints the failure before its prompt
        config.pluginmanager.register(Reporting(config), "reporting")
