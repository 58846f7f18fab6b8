"""Spoken words as data sets: the split of each corpus, and events that are kept once heard."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.geometry import ChannelGeometry
from retempo.training.datasets import Dataset, Request, Split, open_dataset, spike_cache, spoken
from retempo.training.errors import DatasetError
from tests.sound import write_word
from tests.training.test_datasets import assert_same_events

FEW = CochleaSpec(channels=16, charge_hz=4_000.0, leak_hz=50.0)


def names(kind: str, split: Split, folder: Path, **more: object) -> list[str]:
    dataset = open_dataset(kind, Request(split, folder, ear=FEW, **more))  # type: ignore[arg-type]
    return list(dataset.names)


def write_takes(folder: Path) -> list[str]:
    """Three takes a speaker, one of which is for tests."""
    made = [
        f"{digit}_{speaker}_{take}.wav"
        for digit in range(10)
        for speaker in ("ann", "bob")
        for take in (4, 5, 49)
    ]
    for name in made:
        write_word(folder / name, 150.0 + 20.0 * int(name[0]))
    return made


def write_words(folder: Path, files: list[str]) -> None:
    for number, name in enumerate(files):
        write_word(folder / name, 150.0 + 10.0 * number)


def test_fsdd_is_split_by_take(tmp_path: Path) -> None:
    made = write_takes(tmp_path)
    (tmp_path / "README.md").write_text("not a take")
    assert set(names("fsdd", "test", tmp_path)) == {name for name in made if "_4." in name}
    assert set(names("fsdd", "train", tmp_path)) == {name for name in made if "_4." not in name}


def test_fsdd_may_hold_a_speaker_out(tmp_path: Path) -> None:
    made = write_takes(tmp_path / "recordings")
    test = names("fsdd", "test", tmp_path, held_out_speaker="bob")
    assert set(test) == {name for name in made if "bob" in name}
    train = names("fsdd", "train", tmp_path, held_out_speaker="bob")
    assert set(train) == {name for name in made if "ann" in name}
    with pytest.raises(DatasetError, match="is spoken by 'eve'; the speakers are ann, bob"):
        names("fsdd", "test", tmp_path, held_out_speaker="eve")


def test_a_take_is_labelled_by_its_digit_and_heard_by_the_cochlea_asked_for(tmp_path: Path) -> None:
    write_takes(tmp_path)
    dataset = open_dataset("fsdd", Request("test", tmp_path, ear=FEW))
    assert dataset.labels == tuple("0123456789")
    assert dataset.geometry == ChannelGeometry(16)
    item = dataset[dataset.names.index("7_ann_4.wav")]
    assert item.label == 7
    assert len(item.events) > 10
    assert_same_events(item.events, read_all(open_recording(tmp_path / "7_ann_4.wav", ear=FEW)))


def test_fsdd_without_takes_of_a_split_says_which_takes_are_which(tmp_path: Path) -> None:
    write_word(tmp_path / "3_ann_5.wav")
    with pytest.raises(DatasetError, match="no recording for the split test, of 1; takes 0 to 4"):
        names("fsdd", "test", tmp_path)


def test_words_follow_the_lists_of_speech_commands(tmp_path: Path) -> None:
    files = ["yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/a_nohash_0.wav", "no/c_nohash_0.wav"]
    write_words(tmp_path, [*files, "_background_noise_/hum.wav"])
    (tmp_path / "testing_list.txt").write_text("yes/b_nohash_0.wav\nno/a_nohash_0.wav\n")
    (tmp_path / "validation_list.txt").write_text("no/c_nohash_0.wav\n")
    assert names("words", "test", tmp_path) == ["no/a_nohash_0.wav", "yes/b_nohash_0.wav"]
    assert names("words", "train", tmp_path) == ["yes/a_nohash_0.wav"]


def test_words_follow_the_table_of_mswc(tmp_path: Path) -> None:
    write_words(tmp_path / "clips", ["ja/1.opus", "ja/2.opus", "nein/1.opus", "nein/2.opus"])
    rows = ["TRAIN,ja/1.opus,ja", "TEST,ja/2.opus,ja", "DEV,nein/1.opus,nein", "TEST,nein/2.opus,x"]
    (tmp_path / "de_splits.csv").write_text("SET,LINK,WORD\n" + "\n".join(rows) + "\n")
    assert names("words", "train", tmp_path) == ["clips/ja/1.opus"]
    assert names("words", "test", tmp_path) == ["clips/ja/2.opus", "clips/nein/2.opus"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("SET,WORD\nTRAIN,ja\n", "has the columns SET, WORD, expected SET and LINK"),
        ("SET,LINK\nTRIAL,ja/1.wav\n", "line 2 has the SET 'TRIAL', expected TRAIN, TEST, DEV"),
    ],
)
def test_a_table_of_another_layout_is_refused(tmp_path: Path, table: str, message: str) -> None:
    write_words(tmp_path, ["ja/1.wav", "nein/1.wav"])
    (tmp_path / "de_splits.csv").write_text(table)
    with pytest.raises(DatasetError, match=rf"de_splits\.csv {message}"):
        names("words", "train", tmp_path)


def test_words_may_lie_in_folders_of_their_split(tmp_path: Path) -> None:
    write_words(tmp_path, ["train/no/1.wav", "train/yes/1.flac", "test/yes/2.ogg"])
    assert names("words", "train", tmp_path) == ["train/no/1.wav", "train/yes/1.flac"]
    assert names("words", "test", tmp_path) == ["test/yes/2.ogg"]


def test_words_without_a_split_are_split_by_a_hash_of_their_speaker(tmp_path: Path) -> None:
    speakers = [f"s{number}" for number in range(40)]
    files = [
        f"{word}/{speaker}_nohash_{take}.wav"
        for word in ("no", "yes")
        for speaker in speakers
        for take in (0, 1)
    ]
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"never opened")
    for_test = [
        speaker
        for speaker in speakers
        if int(hashlib.sha256(speaker.encode()).hexdigest()[:16], 16) % 10 == 0
    ]
    assert 1 <= len(for_test) <= 8
    test, train = names("words", "test", tmp_path), names("words", "train", tmp_path)
    assert {Path(name).name.split("_")[0] for name in test} == set(for_test)
    assert sorted(test + train) == sorted(files)


def test_chosen_words_keep_their_order(tmp_path: Path) -> None:
    write_words(tmp_path, ["train/a/1.wav", "train/b/1.wav", "train/c/1.wav", "test/a/1.wav"])
    dataset = open_dataset("words", Request("train", tmp_path, labels=("c", "a"), ear=FEW))
    assert dataset.labels == ("c", "a")
    assert [dataset.labels[target] for target in dataset.targets] == ["a", "c"]
    with pytest.raises(DatasetError, match="has no word 'd'; it has a, b, c"):
        names("words", "train", tmp_path, labels=("a", "d"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no folder of sound files; expected two or more folders"),
        (["loose.wav"], "holds no folder of sound files; expected two or more folders"),
        (["yes/1.wav"], "holds one word, 'yes'; expected two or more folders"),
        (["yes/1.txt", "no/1.wav"], "holds one word, 'no'; expected two or more folders"),
    ],
)
def test_a_folder_without_words_to_tell_apart_is_refused(
    tmp_path: Path, files: list[str], message: str
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=message):
        names("words", "train", tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("fsdd", "holds no file like 7_jackson_12.wav"), ("words", "no folder of sound files")],
)
def test_an_empty_or_missing_folder_is_refused(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        names(kind, "train", tmp_path)
    with pytest.raises(DatasetError, match=r"cannot read the folder .*: No such file"):
        names(kind, "train", tmp_path / "missing")


def test_a_damaged_sound_names_its_file(tmp_path: Path) -> None:
    write_words(tmp_path, ["train/a/1.wav", "train/b/1.wav", "test/a/1.wav"])
    (tmp_path / "train/a/1.wav").write_bytes(b"RIFF")
    dataset = open_dataset("words", Request("train", tmp_path, ear=FEW))
    with pytest.raises(DatasetError, match=r"train/a/1\.wav is no readable sound"):
        dataset[0]


def open_cached(folder: Path, cache: Path, cochlea: CochleaSpec = FEW) -> Dataset:
    return open_dataset("fsdd", Request("train", folder, ear=cochlea, cache=cache))


def test_kept_events_are_those_that_are_heard_and_are_heard_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_takes(tmp_path / "fsdd")
    dataset = open_dataset("fsdd", Request("train", tmp_path / "fsdd", ear=FEW))
    heard = [dataset[index].events for index in range(len(dataset))]
    cache = tmp_path / "deep" / "events.npz"
    open_cached(tmp_path / "fsdd", cache)
    monkeypatch.setattr(spoken, "hear_file", None)
    kept = open_cached(tmp_path / "fsdd", cache)
    assert [file.name for file in cache.parent.iterdir()] == ["events-train.npz"]
    assert len(kept) == len(heard)
    for index, expected in enumerate(heard):
        events = kept[index].events
        assert_same_events(events, expected)
        assert (events.t_end_us, events.stream) == (expected.t_end_us, expected.stream)


@pytest.mark.parametrize("change", ["cochlea", "file", "fewer", "damaged", "cut", "packed"])
def test_a_stale_or_damaged_cache_is_made_anew(tmp_path: Path, change: str) -> None:
    folder, cache = tmp_path / "fsdd", tmp_path / "events.npz"
    write_takes(folder)
    open_cached(folder, cache)
    file, cochlea = tmp_path / "events-train.npz", FEW
    before = file.read_bytes()
    if change == "cochlea":
        cochlea = msgspec.structs.replace(FEW, charge_hz=5_000.0)
    if change == "file":
        write_word(folder / "0_ann_5.wav", 700.0, rate_hz=16_000)
    if change == "fewer":
        (folder / "9_bob_49.wav").unlink()
    if change == "damaged":
        file.write_bytes(b"PK\x03\x04 and no more")
    if change == "cut":
        file.write_bytes(before[: len(before) // 2])
    if change == "packed":
        method = before.index(b"PK\x01\x02") + 10
        file.write_bytes(before[:method] + b"\x63" + before[method + 1 :])
    kept = open_cached(folder, cache, cochlea)
    heard = open_dataset("fsdd", Request("train", folder, ear=cochlea))
    assert len(kept) == len(heard)
    for index in range(len(heard)):
        assert_same_events(kept[index].events, heard[index].events)
    with np.load(file, allow_pickle=False) as content:
        assert str(content["key"]) == spike_cache.key_of(
            folder, [folder / name for name in kept.names], cochlea
        )


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write_takes(tmp_path / "fsdd")
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cannot write the cache .*events-train\.npz"):
        open_cached(tmp_path / "fsdd", tmp_path / "file" / "events.npz")


@pytest.mark.recordings
def test_the_free_spoken_digits_are_split_as_their_authors_say(recordings_folder: Path) -> None:
    folder = recordings_folder / "fsdd"
    assert len(names("fsdd", "test", folder)) == 180
    assert len(names("fsdd", "train", folder)) == 2_700
    assert len(names("fsdd", "test", folder, held_out_speaker="george")) == 480
