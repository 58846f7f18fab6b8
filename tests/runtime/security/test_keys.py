"""Key files: who may read them, what is never overwritten, what is no key."""

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.security.allow import AllowList, allow, read_allowed
from retempo.runtime.security.errors import SecurityError
from retempo.runtime.security.keys import new_keys, read_one_public, read_public, read_secret


def test_a_pair_is_written_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        made = new_keys("cam-1", tmp_path / "keys")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(made.secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.public.stat().st_mode) == 0o644
    pair = read_secret(made.secret)
    assert zmq.curve_public(pair.secret.encode()).decode() == pair.public == made.key
    assert read_public(made.public) == {made.key: "cam-1"}
    assert read_one_public(made.public) == made.key
    assert pair.secret not in repr(pair)
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["cam-1.key", "cam-1.pub"]


@pytest.mark.parametrize("there", ["a.key", "a.pub"])
def test_no_file_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(SecurityError, match=f"{there} is there already"):
        new_keys("a", tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {there: "mine"}


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecurityError, match="is there already"):
        new_keys("a", tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "../a", "a/b", "-a", "a.b", "a" * 65, "a\n"])
def test_a_name_that_is_no_file_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecurityError, match="a key's name has"):
        new_keys(name, tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    made = new_keys("a", tmp_path)
    made.secret.chmod(mode)
    with pytest.raises(SecurityError, match=f"mode {mode:04o}, expected 0600"):
        read_secret(made.secret)


def test_halves_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    a, b = new_keys("a", tmp_path), new_keys("b", tmp_path)
    a.secret.write_text(a.secret.read_text().replace(a.key, b.key))
    with pytest.raises(SecurityError, match="does not belong to its secret"):
        read_secret(a.secret)


def test_a_public_file_in_the_place_of_a_secret_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text('secret = "hunter2"\n')
    path.chmod(0o600)
    with pytest.raises(SecurityError, match="is no secret key") as refused:
        read_secret(path)
    assert "hunter2" not in str(refused.value)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_a_public_file_or_refused(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "any.pub"
        path.write_bytes(content)
        try:
            names = read_public(path)
        except SecurityError:
            return
        assert all(len(key) == 40 for key in names)


def test_forty_characters_that_are_more_than_32_bytes_are_no_key(tmp_path: Path) -> None:
    path = tmp_path / "a.pub"
    path.write_text(f'a = "{"#" * 40}"\n')
    with pytest.raises(SecurityError, match="no Z85"):
        read_public(path)


def test_clients_are_let_in_by_folder_and_shut_out_by_removing_a_file(tmp_path: Path) -> None:
    a, b = new_keys("a", tmp_path), new_keys("b", tmp_path)
    clients = tmp_path / "clients"
    assert allow(a.public, clients) == ["a"]
    listed = AllowList(clients)
    assert (listed.name_of(a.key), listed.name_of(b.key)) == ("a", None)
    assert not listed.refresh()
    allow(b.public, clients)
    assert listed.refresh()
    assert listed.name_of(b.key) == "b"
    (clients / "a.pub").unlink()
    assert listed.refresh()
    assert (listed.name_of(a.key), listed.revoked) == (None, frozenset({"a"}))
    allow(a.public, clients)
    assert listed.refresh()
    assert (listed.name_of(a.key), listed.revoked) == ("a", frozenset())


def test_one_file_can_hold_them_all(tmp_path: Path) -> None:
    made = [new_keys(name, tmp_path) for name in ("a", "b")]
    together = tmp_path / "clients"
    together.write_text("".join(m.public.read_text() for m in made))
    assert read_allowed(together).names == {m.key: n for m, n in zip(made, "ab", strict=True)}


def test_a_broken_file_lets_nobody_in_and_the_others_stay(tmp_path: Path) -> None:
    a, b = new_keys("a", tmp_path), new_keys("b", tmp_path)
    clients = tmp_path / "clients"
    allow(a.public, clients)
    allow(b.public, clients)
    listed = AllowList(clients)
    (clients / "b.pub").write_text("b = 3")
    assert listed.refresh()
    assert (listed.name_of(a.key), listed.name_of(b.key)) == ("a", None)
    assert "b.pub is no public key" in listed.allowed.problems[0]
    with pytest.raises(SecurityError, match=r"b\.pub is no public key"):
        AllowList(clients)


def test_a_list_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    made = new_keys("a", tmp_path)
    listed = AllowList(made.public)
    made.public.unlink()
    assert listed.refresh()
    assert listed.name_of(made.key) is None
    assert "cannot read" in listed.allowed.problems[0]


def test_another_key_under_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    old, new = new_keys("a", tmp_path / "old"), new_keys("a", tmp_path / "new")
    clients = tmp_path / "clients"
    allow(old.public, clients)
    allow(old.public, clients)
    with pytest.raises(SecurityError, match="holds another key"):
        allow(new.public, clients)
    assert list(read_allowed(clients).names) == [old.key]
