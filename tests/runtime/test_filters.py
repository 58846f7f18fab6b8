"""Filters in the pipeline: before the bins, every removed event counted, the same however fed."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.config import load_config
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engine import Engine
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import ConfigError, InputError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Credit, Refusal, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.layout import check_geometry, layout_of
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.replay import replay
from retempo.runtime.replies import Delivery
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of
from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Filtered, parse_filter
from retempo.sensors.filters.crop import Crop
from retempo.sensors.filters.refractory import Refractory
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import cut, make_chunk, make_network, seeds
from tests.sensors.filters.streams import Given

CAMERA = GridGeometry(64, 48)
TEXTS = ("hot-pixels=5ms", "refractory=200us", "background=20ms", "crop=5,4,48x40", "downsample=8")


@pytest.fixture(scope="module")
def model() -> bytes:
    network = make_network(geometry=GridSpec(6, 5, 2))
    content: bytes = build_step(network, resolve(network.spec, 1_000, "lag")).SerializeToString()
    return content


@pytest.fixture(scope="module")
def engine(model: bytes) -> Engine:
    return load_engine(parse_step(model, "m.onnx"), name="sparse")


def fed(
    deployment: Deployment, chunks: list[EventChunk], geometry: GridGeometry = CAMERA
) -> tuple[list[Decision], Pipeline]:
    pipeline = deployment.open("s", geometry)
    told = [d for chunk in chunks for d in pipeline.feed(chunk, 0.0)]
    return [d for d in [*told, *pipeline.finish(0.0)] if d is not None], pipeline


@settings(max_examples=20)
@given(seed=seeds, cuts=st.lists(st.integers(0, 2_000), max_size=6))
def test_a_large_camera_feeds_a_small_network_however_it_is_cut(
    engine: Engine, seed: int, cuts: list[int]
) -> None:
    deployment = deploy(engine, filters=[parse_filter(text) for text in TEXTS])
    chunk = make_chunk(2_000, 66, 48, 50_000, seed)
    whole, pipeline = fed(deployment, [chunk])
    pieces, other = fed(deployment, cut(chunk, cuts))
    assert [(d.t_us, d.scores) for d in whole] == [(d.t_us, d.scores) for d in pieces]
    assert pipeline.counters == other.counters
    assert pipeline.removed == other.removed
    counters = pipeline.counters
    assert chunk.x is not None
    assert counters.received == 2_000
    assert counters.invalid == int(np.count_nonzero(chunk.x >= CAMERA.width)) > 0
    assert counters.masked == sum(pipeline.removed.values()) > 0
    assert counters.binned == 2_000 - counters.invalid - counters.masked > 0


@given(seeds)
@settings(max_examples=10)
def test_filters_of_a_deployment_are_those_of_its_source(engine: Engine, seed: int) -> None:
    filters = tuple(parse_filter(text) for text in TEXTS)
    source = Given(CAMERA, cut(make_chunk(2_000, 64, 48, 50_000, seed), [700, 900]))
    inside = replay(source, deploy(engine, filters=filters, every="end"))
    before = replay(Filtered(source, filters), deploy(engine, every="end"))
    assert inside.scores == before.scores
    assert inside.steps == before.steps
    assert inside.counters["binned"] == before.counters["binned"]
    assert {"background", "crop"} <= inside.removed.keys() <= {each.name for each in filters}
    assert before.removed == {}


def test_what_the_source_has_removed_is_not_received(engine: Engine) -> None:
    filters = (Crop(5, 4, 48, 40), parse_filter("downsample=8"))
    chunk = make_chunk(500, 64, 48, 50_000)
    source = Filtered(Given(CAMERA, [chunk]), (Refractory(10_000),))
    kept = sum(len(each) for each in source)
    deployment = deploy(engine, filters=filters, every="end")
    _, pipeline = fed(deployment, list(source))
    assert pipeline.counters.received == kept < 500
    assert "refractory" not in pipeline.removed


def test_the_sensor_behind_the_filters_is_what_counts(engine: Engine) -> None:
    with pytest.raises(
        InputError,
        match=r"m\.onnx expects 6x5x2 inputs, cam is 64x48x2; use the filter downsample=11, "
        r"a recording of that sensor, or a model trained for this one",
    ):
        deploy(engine).open("cam", CAMERA)
    deployment = deploy(engine, filters=[parse_filter("crop=5,1,54x45")])
    with pytest.raises(
        InputError, match=r"cam behind its filters is 54x45x2; use the filter downsample=9"
    ):
        deployment.open("cam", CAMERA)
    with pytest.raises(
        FilterError, match="the filter crop=5,1,54x45 exceeds the sensor of 20x20x2"
    ):
        deployment.open("cam", GridGeometry(20, 20))
    fitting = deploy(engine, filters=[parse_filter(t) for t in ("crop=5,1,54x45", "downsample=9")])
    fitting.open("cam", CAMERA)


def test_a_sensor_that_no_filter_fits_is_refused_without_one(engine: Engine) -> None:
    spec = engine.model.contract.network.input
    with pytest.raises(InputError, match="cam is 5x5x2; use a recording of that sensor"):
        check_geometry(spec, GridGeometry(5, 5), "cam", "m.onnx")
    with pytest.raises(InputError, match="cam is 9 channels; use a recording of that sensor"):
        check_geometry(spec, ChannelGeometry(9), "cam", "m.onnx")


def test_a_daemon_refuses_a_stream_that_a_filter_cannot_work_on(engine: Engine) -> None:
    replies: list[Reply] = []

    def send(_owner: bytes, reply: Reply) -> Delivery:
        replies.append(reply)
        return "sent"

    deployment = deploy(engine, filters=[Crop(5, 1, 54, 45), parse_filter("downsample=9")])
    server = FeedServer(deployment, send, lambda _: None, EventLog(io.StringIO()))
    for stream, sensor in (("small", GridGeometry(20, 20)), ("fits", CAMERA)):
        at = Cursor(stream, sensor, 1)
        server.receive(b"me", encode_message("open", no_events(sensor, 0), at))
    refusal, credit = replies
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("the filter crop=5,1,54x45 exceeds the sensor of 20x20x2")
    assert isinstance(credit, Credit)


def test_warming_up_needs_no_sensor_of_the_filters(engine: Engine) -> None:
    deployment = Deployment(
        engine,
        layout_of(engine.model.contract.network.input),
        tuple(parse_filter(text) for text in TEXTS),
    )
    deployment.warm_up()
    before, _ = fed(deployment, [make_chunk(500, 64, 48, 50_000)])
    after, _ = fed(deployment, [make_chunk(500, 64, 48, 50_000)])
    assert [d.scores for d in before] == [d.scores for d in after]


def configured(folder: Path, tables: str) -> ServeConfig:
    path = folder / "serve.toml"
    path.write_text(f'model = "m.onnx"\n{tables}')
    return load_config(path, ServeConfig)


def test_a_configuration_lists_filters(tmp_path: Path, model: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(model)
    (tmp_path / "hot.txt").write_text("3 4\n")
    config = configured(
        tmp_path,
        """
        [[input.filter]]
        kind = "hot-pixels"
        file = "hot.txt"
        [[input.filter]]
        kind = "crop"
        at = [5, 4]
        size = "48x40"
        [[input.filter]]
        kind = "downsample"
        factor = 8
        [input]
        """.replace("[input]\n", ""),
    )
    deployment = deployment_of(config, tmp_path)
    assert [each.name for each in deployment.filters] == ["hot-pixels", "crop", "downsample"]
    deployment.open("cam", CAMERA)
    override = deployment_of(config, tmp_path, [Refractory(5)])
    assert override.filters == (Refractory(5),)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('kind = "refractry"', r"filter\[0\]\.kind is 'refractry'; did you mean refractory\?"),
        ('span = "1ms"', r"input\.filter\[0\]\.kind is missing; Known here: crop, downsample"),
        (
            'kind = "refractory"\nspam = "1ms"',
            r"unknown key 'input\.filter\[0\]\.spam'; .*\.span\?",
        ),
        ('kind = "refractory"', "missing required field span"),
        ('kind = "rotate"\ndegrees = "90"', "Expected int, got str"),
    ],
)
def test_a_table_that_is_no_filter_is_told_apart(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        configured(tmp_path, f"[[input.filter]]\n{table}\n")


def test_a_setting_that_is_unfit_names_its_table(tmp_path: Path, model: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(model)
    config = configured(
        tmp_path,
        '[[input.filter]]\nkind = "flip"\naxis = "x"\n'
        '[[input.filter]]\nkind = "refractory"\nspan = "1"\n',
    )
    with pytest.raises(ConfigError, match=r"\[\[input\.filter\]\] filter 2: '1' is no duration"):
        deployment_of(config, tmp_path)
