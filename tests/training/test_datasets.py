"""Data sets read from small files in their own formats, and refused in one clear line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from retempo.sensors.events import EventChunk
from retempo.sensors.files import write_nmnist
from retempo.sensors.geometry import GridGeometry
from retempo.training.datasets import (
    Dataset,
    Request,
    Split,
    limited,
    open_dataset,
    open_folder,
    subset,
    write_folder,
)
from retempo.training.errors import DatasetError
from tests.builders import make_chunk
from tests.training.test_shd import write_shd


def assert_same_events(got: EventChunk, expected: EventChunk) -> None:
    for column in ("t_us", "x", "y", "on", "channel"):
        one, other = getattr(got, column), getattr(expected, column)
        assert (one is None) == (other is None)
        if other is not None:
            np.testing.assert_array_equal(one, other)


def write_recordings(folder: Path, names: list[str]) -> list[EventChunk]:
    chunks = []
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        chunks.append(make_chunk(200, 34, 34, 300_000, seed=seed))
        write_nmnist(path, chunks[-1])
    return chunks


def test_a_folder_is_labelled_by_its_file_names(tmp_path: Path) -> None:
    chunks = write_recordings(tmp_path, ["00001_10.bin", "00002_9.bin", "00003_10.bin"])
    dataset = open_folder(tmp_path)
    assert dataset.labels == ("9", "10")
    assert dataset.targets == (1, 0, 1)
    assert dataset.geometry == GridGeometry(34, 34)
    for index, chunk in enumerate(chunks):
        item = dataset[index]
        assert item.label == dataset.targets[index]
        assert_same_events(item.events, chunk)


def test_a_folder_is_labelled_by_its_folders(tmp_path: Path) -> None:
    chunks = write_recordings(tmp_path, ["cat/a.bin", "dog/a.bin"])
    (tmp_path / ".hidden").write_text("not a recording")
    dataset = open_folder(tmp_path)
    assert dataset.labels == ("cat", "dog")
    assert dataset.names == (str(Path("cat/a.bin")), str(Path("dog/a.bin")))
    assert_same_events(dataset[1].events, chunks[1])


def test_a_test_folder_takes_the_labels_of_a_trained_network(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["1_7.bin", "2_9.bin"])
    assert open_folder(tmp_path, labels=[str(k) for k in range(10)]).targets == (7, 9)
    with pytest.raises(DatasetError, match=r"2_9\.bin is labelled '9'; the labels are 7, 8$"):
        open_folder(tmp_path, labels=["7", "8"])


def test_a_folder_may_hold_its_splits(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["train/1_0.bin", "train/2_1.bin", "test/3_1.bin"])
    assert len(open_dataset("folder", Request("train", tmp_path))) == 2
    assert len(open_dataset("folder", Request("test", tmp_path))) == 1
    flat = Request("test", tmp_path / "train")
    with pytest.raises(DatasetError, match="has no folder 'test'; name the test folder itself"):
        open_dataset("folder", flat)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read the folder .*nowhere: No such file"):
        open_folder(tmp_path / "nowhere")


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no recording; expected files like 00001_5\.bin"):
        open_folder(tmp_path)


def test_a_file_without_a_label_is_named(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["1_0.bin", "stray.bin"])
    with pytest.raises(DatasetError, match=r"stray\.bin carries no label; name it like"):
        open_folder(tmp_path)


def test_a_truncated_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["1_0.bin", "2_1.bin"])
    broken = tmp_path / "2_1.bin"
    broken.write_bytes(broken.read_bytes()[:-2])
    dataset = open_folder(tmp_path)
    with pytest.raises(DatasetError, match=r"2_1\.bin: it ends 3 bytes into an event"):
        dataset[1]


def test_a_recording_of_another_sensor_is_named(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["1_0.bin"])
    (tmp_path / "2_1.csv").write_text("t,x@640,y@480,on\n5,600,400,1\n7,3,2,0\n")
    with pytest.raises(DatasetError, match=r"2_1\.csv is 640x480x2, .*1_0\.bin is 34x34x2"):
        open_folder(tmp_path)[1]


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="unknown data set 'mnist'; known are folder, fsdd"):
        open_dataset("mnist", Request("train"))


@pytest.mark.parametrize("kind", ["folder", "nmnist", "shd"])
def test_a_data_set_on_disk_asks_for_its_folder(kind: str) -> None:
    with pytest.raises(
        DatasetError, match=f"{kind} needs a folder; set .data. path or give --data"
    ):
        open_dataset(kind, Request("train"))


def test_a_written_folder_reads_back_as_the_data_set(tmp_path: Path) -> None:
    digits = subset(open_dataset("simulated-digits", Request("test")), [3, 5])
    paths = write_folder(digits, tmp_path / "out")
    back = open_folder(tmp_path / "out", labels=digits.labels)
    assert [path.name for path in paths] == list(back.names)
    assert back.targets == digits.targets
    for index in range(2):
        assert_same_events(back[index].events, digits[index].events)
    with pytest.raises(DatasetError, match="is not empty; write into a new folder"):
        write_folder(digits, tmp_path / "out")


def test_simulated_digits_follow_from_their_index_and_seed_alone() -> None:
    one, again = (open_dataset("simulated-digits", Request("train")) for _ in range(2))
    other = open_dataset("simulated-digits", Request("train", seed=1))
    assert_same_events(one[7].events, again[7].events)
    assert not np.array_equal(one[7].events.t_us, other[7].events.t_us)
    assert not np.array_equal(one[7].events.t_us, one[8].events.t_us)


def test_simulated_digits_keep_test_images_out_of_training() -> None:
    splits: tuple[Split, ...] = ("train", "test")
    train, test = (open_dataset("simulated-digits", Request(split)) for split in splits)
    assert (len(train), len(test)) == (1397, 400)
    assert not set(train.names) & set(test.names)
    assert train.geometry == GridGeometry(34, 34)
    assert set(test.targets) == set(range(10))


def test_a_download_that_leaves_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tonic", ModuleType("tonic"))
    monkeypatch.setitem(sys.modules, "tonic.datasets", tonic_that(lambda _: None))
    with pytest.raises(DatasetError, match=r"tonic fetched NMNIST into .*, but no Train; empty"):
        open_dataset("nmnist", Request("train", tmp_path, download=True))


def test_full_nmnist_is_read_from_its_published_folders(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["NMNIST/Train/0/00002.bin", "NMNIST/Train/3/00001.bin"])
    dataset = open_dataset("nmnist", Request("train", tmp_path))
    assert dataset.labels == ("0", "3")
    assert len(dataset[1].events) == 200


@pytest.mark.parametrize("kind", ["nmnist", "shd"])
def test_nothing_is_downloaded_unasked(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"or set \[data\] download = true"):
        open_dataset(kind, Request("train", tmp_path))


def test_downloading_without_tonic_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(DatasetError, match=r"needs tonic; pip install 'retempo\[tonic\]'"):
        open_dataset("shd", Request("train", tmp_path, download=True))


def tonic_that(fetch: Callable[[Path], None]) -> ModuleType:
    def data_set(save_to: str, *, train: bool) -> None:
        assert train
        fetch(Path(save_to))

    module = ModuleType("tonic.datasets")
    module.SHD = module.NMNIST = data_set  # type: ignore[attr-defined]
    return module


def test_what_tonic_puts_on_disk_is_read_by_our_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(folder: Path) -> None:
        write_shd(folder / "SHD" / "shd_train.h5")
        write_recordings(folder / "NMNIST" / "Train", ["0/00002.bin", "1/00001.bin"])

    monkeypatch.setitem(sys.modules, "tonic", ModuleType("tonic"))
    monkeypatch.setitem(sys.modules, "tonic.datasets", tonic_that(fetch))
    assert len(open_dataset("shd", Request("train", tmp_path / "a", download=True))) == 4
    assert len(open_dataset("nmnist", Request("train", tmp_path / "b", download=True))) == 2


def test_a_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: Path) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setitem(sys.modules, "tonic", ModuleType("tonic"))
    monkeypatch.setitem(sys.modules, "tonic.datasets", tonic_that(fetch))
    with pytest.raises(DatasetError, match=r"tonic could not fetch SHD into .*: no route to host$"):
        open_dataset("shd", Request("train", tmp_path, download=True))


def test_a_limit_spreads_over_the_data_set() -> None:
    chunk = make_chunk(10, 4, 4, 100)
    names = tuple(str(k) for k in range(10))
    whole = Dataset(
        "ten", GridGeometry(4, 4), ("a", "b"), names, (0,) * 5 + (1,) * 5, lambda _: chunk
    )
    assert limited(whole, 4).names == ("0", "2", "5", "7")
    assert limited(whole, None) is whole
    assert limited(whole, 99) is whole
    with pytest.raises(IndexError):
        limited(whole, 4)[4]


def test_data_sets_need_no_torch() -> None:
    heavy = ("torch", "sklearn", "tonic")
    script = (
        f"import sys, retempo.training.datasets; print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
