"""What docs/operations.md and the systemd unit say is what the code does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from retempo.cli.app import COMMANDS
from retempo.runtime import (
    checkpoint,
    checkpointing,
    control_protocol,
    decision_history,
    decisions_out,
    event_log,
    feed,
    finished,
    journal_writer,
    opening,
    page_server,
    send_ring,
    trial_process,
    window_table,
)
from retempo.runtime.binner import SILENCE_US
from retempo.runtime.event_log import EventLog
from retempo.runtime.guard import GuardRules
from retempo.runtime.journal import Journal
from retempo.runtime.journal_config import journal_chore
from retempo.runtime.journal_format import Begin
from retempo.runtime.metric_families import FAMILIES, MOST_HISTOGRAMS, metrics_table
from retempo.runtime.security import door, limits
from retempo.runtime.security.settings import CONNECTIONS
from retempo.runtime.serve_config import JournalConfig, ModelsConfig
from retempo.runtime.watchdog import STUCK_EXIT
from tests.runtime.watched import fetch, watched_daemon

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
UNIT = ROOT / "configs" / "retempo.service"


def section(title: str) -> str:
    match = re.search(rf"^#+ {title}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_the_table_of_metrics_is_the_codes() -> None:
    assert metrics_table() in PAGE
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))
    for family in FAMILIES:
        assert (family.kind == "counter") == family.name.endswith("_total")


def test_the_page_names_every_metric_that_a_daemon_shows_and_every_alarm_is_on_one(
    tmp_path: Path,
) -> None:
    begin = Begin(1, 7, 0, "0", "sparse", "m", "s", "{}", ".", None)
    journal = Journal(tmp_path, begin, file_bytes=1 << 24, files=2, log=EventLog())
    with watched_daemon() as watched:
        journal_chore(journal)(watched.servers[0])
        body = fetch(watched.url, "/metrics")[2]
    journal.close()
    shown = {line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")}
    # Counters are typed with their suffix, and some with the time of their making beside them.
    shown = {name for name in shown if not name.endswith("_created")}
    assert [name for name in sorted(shown) if f"`{name}`" not in PAGE] == []
    alarmed = set(re.findall(r"retempo_[a-z_]+", section("Alarms")))
    assert alarmed
    assert alarmed <= shown


def test_every_event_of_the_log_is_in_the_table_and_no_other() -> None:
    told = set(re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", section("Log"), re.MULTILINE))
    named = {name for cell in told for name in re.findall(r"`([a-z_]+)`", cell)}
    written = set()
    for path in (ROOT / "runtime").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        written |= set(re.findall(r'log\.(?:info|warning|error)\(\s*"([a-z_]+)"', text))
    # Calls whose name is chosen.
    written |= {"coarsened", "refined", "swapped", "swap_unchanged", "turned_away", "auth_failure"}
    assert named == written


def spaced(quantity: str) -> str:
    """A quantity of the configuration as prose writes it, `4 GiB`."""
    return re.sub(r"(?<=\d)(?=[A-Za-z])", " ", quantity)


def test_the_bounds_are_the_codes() -> None:
    guard, kept, models = GuardRules(), JournalConfig(), ModelsConfig()
    for bound in (
        f"{opening.MAX_STREAMS:,}",
        f"`[feed] window`, {feed.WINDOW}",
        f"{feed.MAX_MESSAGE_BYTES // 2**20} MiB",
        f"{decisions_out.QUEUED_DECISIONS:,}",
        f"{decisions_out._MAX_SUBSCRIPTION_BYTES // 1024} KiB",
        f"| bins of one block | {window_table._MOST_BINS} |",
        f"{event_log._STREAMS_A_KIND} a second for each kind",
        f"{event_log._KEYS:,}",
        f"| {page_server._MOST_CONNECTIONS}, of {page_server._LONGEST_S:.0f} s each |",
        f"| what a sender keeps | {send_ring.RING_BYTES // 2**20} MiB |",
        f"| finished streams that are remembered | {finished._KEPT:,} |",
        f"`[decisions] history`, {decision_history.HISTORY_BYTES // 2**20} MiB",
        f"| decisions in one answer | {decisions_out.ANSWER:,} |",
        f"`[security] connections`, {CONNECTIONS} a socket",
        f"| a handshake | {door.HANDSHAKE_S:.0f} s |",
        f"| open files | {limits._WANTED:,}",
        f"| {SILENCE_US // 1_000_000} s of event time |",
        f"`[guard] ahead`, {guard.ahead_us // 1_000_000} s; `back`, {guard.back_us // 1_000_000} s",
        f"| a checkpoint | {checkpointing.BUDGET_S * 1e3:.0f} ms of the loop at a time;",
        f"two files of {checkpoint.MAX_BYTES // 2**30} GiB",
        f"{journal_writer.MOST_BYTES // 2**20} MiB | the journal stops",
        f"`[journal] files` of `bytes`: {kept.files} of {spaced(kept.bytes)}",
        f"`[models] most_bytes`, {spaced(models.most_bytes)}",
        f"`trial_time`, {spaced(models.trial_time)} behind at most",
        f"at most {trial_process._PREPARE_S:.0f} s to compile",
        f"`trial_memory`, {spaced(models.trial_memory)}",
        f"{control_protocol.MAX_REQUEST_BYTES // 1024} KiB | the connection is dropped",
        f"| streams with histograms of their own | {MOST_HISTOGRAMS} |",
    ):
        assert bound in section("Bounds"), bound
    assert f"| {STUCK_EXIT} | stuck" in section("Exit codes")


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings


def test_every_fault_has_its_row_and_its_test() -> None:
    test = r"\(\.\./tests/faults(?:/test_(\d+)_\w+\.py)?\)"
    rows = re.findall(rf"^\| (\d+) \| .*{test} \|$", section("Faults"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 26))
    assert [(row, of) for row, of in rows if of and int(of) != int(row)] == []


def settings() -> list[tuple[str, str]]:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return [
        (key, value)
        for line in lines
        if line and line[0] not in "#["
        for key, _, value in [line.partition("=")]
    ]


def test_the_unit_starts_the_command_and_every_path_of_it_is_explained() -> None:
    unit = dict(settings())
    assert (unit["Type"], unit["Restart"], unit["NotifyAccess"]) == ("notify", "on-failure", "main")
    assert unit["WatchdogSec"] == "15s"
    command = unit["ExecStart"].split()
    assert Path(command[0]).name == "retempo"
    assert command[1] in COMMANDS
    explained = section("systemd")
    paths = {word for _, value in settings() for word in value.split() if word.startswith("/")}
    assert {"/opt/retempo/bin/retempo", "/etc/retempo/serve.toml", "/bin/kill"} == paths
    assert [path for path in sorted(paths) if f"`{path}`" not in explained] == []
    assert "/var/lib/retempo" in explained


def test_the_unit_gives_the_daemon_no_right_that_it_does_not_need() -> None:
    unit = dict(settings())
    for key, value in {
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
        "RestrictNamespaces": "yes",
        "SystemCallArchitectures": "native",
    }.items():
        assert unit[key] == value
    filters = [value for key, value in settings() if key == "SystemCallFilter"]
    assert filters == ["@system-service", "~@privileged @resources"]
    assert unit["MemoryMax"].endswith("G")


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    copy = tmp_path / UNIT.name
    # What it starts is not installed here; any program does for the check.
    copy.write_text(
        UNIT.read_text(encoding="utf-8").replace("/opt/retempo/bin/retempo", "/bin/true")
    )
    done = subprocess.run(
        [analyze, "verify", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
