"""`retempo keys`, and a daemon and its clients that use them."""

from pathlib import Path

import pytest

from retempo.runtime.security.client import read_client_keys
from retempo.runtime.subscriber import Decisions
from tests.cli.conftest import Invoke
from tests.cli.served import finals
from tests.daemons import TIMEOUT_S, serving
from tests.serve_config import write_config


def test_keys_are_made_allowed_and_listed(invoke: Invoke, tmp_path: Path) -> None:
    made = invoke("keys", "new", "cam-1", "--folder", tmp_path, "--json").json
    assert isinstance(made, dict)
    assert (tmp_path / "cam-1.key").stat().st_mode & 0o777 == 0o600
    allowed = invoke("keys", "allow", tmp_path / "cam-1.pub", "--to", tmp_path / "in", "--json")
    assert allowed.json == {"allowed": ["cam-1"], "folder": str(tmp_path / "in")}
    listed = invoke("keys", "list", tmp_path / "in", "--json").json
    assert listed == [{"name": "cam-1", "key": made["key"]}]
    assert invoke("keys", "list", tmp_path / "in").out == f"cam-1 {made['key']}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("new",), 2, "new needs a NAME"),
        (("allow",), 2, "allow needs a public file"),
        (("new", "../a"), 1, "a key's name has"),
        (("new", "$(touch here)"), 1, "a key's name has"),
        (("allow", "missing.pub"), 1, "cannot read the public key missing.pub"),
        (("list", "missing"), 1, "cannot read"),
        (("steal",), 2, "steal"),
    ],
)
def test_misuse_is_told_in_a_line(
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = invoke("keys", *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (code, 1)
    assert said in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_second_pair_of_a_name_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("keys", "new", "a", "--folder", tmp_path).code == 0
    before = (tmp_path / "a.key").read_text()
    outcome = invoke("keys", "new", "a", "--folder", tmp_path)
    assert outcome.code == 1
    assert "is there already" in outcome.err
    assert (tmp_path / "a.key").read_text() == before


def on_network(folder: Path, security: str) -> Path:
    return write_config(folder, f"[security]\n{security}", feed="tcp://0.0.0.0:*")


def test_a_daemon_on_the_network_serves_who_has_a_key(
    invoke: Invoke, tmp_path: Path, demo_recordings: list[Path]
) -> None:
    for name in ("server", "cam", "stranger"):
        invoke("keys", "new", name, "--folder", tmp_path)
    invoke("keys", "allow", tmp_path / "cam.pub", "--to", tmp_path / "clients")
    path = demo_recordings[0]
    server = ("--server", tmp_path / "server.pub")
    with serving(on_network(tmp_path, 'keys = "server.key"\nallow = "clients"')) as daemon:
        daemon.feed = daemon.feed.replace("//0.0.0.0:", "//127.0.0.1:")
        keys = read_client_keys(tmp_path / "cam.key", tmp_path / "server.pub")
        with Decisions(daemon.decisions, timeout_s=TIMEOUT_S, keys=keys) as decisions:
            (report,) = daemon.publish(path, "--key", tmp_path / "cam.key", *server)
            assert report["stream"] == path.name
            assert finals(decisions, {path.name}).keys() == {path.name}
        refused = invoke(
            "watch", daemon.decisions, "--timeout", 0.7, "--key", tmp_path / "stranger.key", *server
        )
        assert refused.code == 1
        assert "it does not list this client's key" in refused.err


def test_a_daemon_in_clear_does_not_start_on_the_network(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("serve", on_network(tmp_path, "connections = 4"))
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "[feed] bind 'tcp://0.0.0.0:*' is open to the network without keys" in outcome.err


def test_a_daemon_in_clear_starts_on_the_network_where_that_is_asked_for(tmp_path: Path) -> None:
    with serving(on_network(tmp_path, "clear_on_network = true")) as daemon:
        assert daemon.feed.startswith("tcp://0.0.0.0:")
