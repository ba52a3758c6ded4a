"""Readers of checkpoints, config.json and logs, with random inputs made by hypothesis.

Each reader either refuses the input in one line or returns exactly what was written. It takes little memory, whatever
sizes the file claims.
"""

import json
import re
import tracemalloc

import malformed_inputs
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigan import sample
from minigan.gan.step import build_gan
from minigan.runs import checkpoint
from minigan.runs.config import RunConfig, read_config, to_json
from minigan.runs.layout import CSV_NAME, METRICS_NAME, SPEED_NAME, VITALS_NAME
from minigan.runs.run_records import load_newest, read_history, read_rows, read_speed
from minigan.system.errors import UserError

CONFIG = RunConfig(**malformed_inputs.SETTINGS)
MEGABYTES = 40


def told(read, *arguments):
    """The result of a reader, or None if it refuses with an error of one line. In both cases it takes little memory."""
    refusal, found = "", None
    tracemalloc.start()
    try:
        found = read(*arguments)
    except UserError as error:
        refusal = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEGABYTES << 20
    assert len(refusal) < 800
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz")
    (path / "checkpoints").mkdir()
    return path


@pytest.fixture(scope="module")
def gan():
    return build_gan(image_size=32, width=1)


@pytest.fixture(scope="module")
def good(tmp_path_factory, gan):
    """Bytes of a checkpoint and of a generator."""
    path = tmp_path_factory.mktemp("good")
    file = checkpoint.save_checkpoint(path, gan, step=2, image_size=32, width=1)
    checkpoint.save_network(path / "generator", gan.generator, image_size=32, width=1, step=2)
    return file.read_bytes(), (path / "generator").read_bytes()


@st.composite
def changed(draw, data):
    """Bytes after a few changes, half of them near the beginning."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, min(64, len(data))), st.integers(0, len(data))))
        length = draw(st.one_of(st.integers(0, 9), st.integers(0, len(data))))
        new = draw(
            st.one_of(st.binary(max_size=12), st.sampled_from([data[at : at + length] * 2, b"\xff" * 8, b"{", b'"']))
        )
        data = data[:at] + new + data[at + length :]
    return data


numbers = st.one_of(st.integers(), st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**400]))
texts = st.one_of(
    st.text(max_size=12), st.sampled_from(["", "2", "32", "512", "-1", "9" * 400, "1e9", "\0", "F32", "BF16"])
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


def all_of(gan):
    """The bytes of every array that a checkpoint restores."""
    networks = [*gan.generator.state().values(), *gan.discriminator.state().values()]
    moments = [*gan.g_optimizer.state().values(), *gan.d_optimizer.state().values()]
    return [array.tobytes() for array in networks + moments]


def checksum_of(contents):
    """The checksum in the file's metadata, which covers everything else."""
    return json.loads(contents[8 : 8 + int.from_bytes(contents[:8], "little")])["__metadata__"]["sha256"]


def is_count(text):
    return re.fullmatch("[0-9]{1,11}", text) is not None and int(text) <= 10**10


def read_checkpoint(folder, contents, gan):
    """Whether it was read."""
    path = checkpoint.checkpoint_path(folder / "checkpoints", 2)
    path.write_bytes(contents)
    found = told(load_newest, folder, CONFIG, gan)
    assert found in (None, (2, []))
    return found is not None


def read_generator(folder, contents):
    path = folder / "generator.safetensors"
    path.write_bytes(contents)
    return told(sample.load_generator, path)


def test_the_good_ones_are_read(folder, good, gan):
    assert read_checkpoint(folder, good[0], gan)
    assert read_generator(folder, good[1]) is not None
    assert read_settings(folder, malformed_inputs.settings())[0] == CONFIG
    sessions = [{"from_step": 0, "a fact of a later version": [1, None]}]
    written = {"settings": malformed_inputs.SETTINGS, "sessions": sessions}
    assert read_settings(folder, json.dumps(written).encode()) == (CONFIG, {"sessions": sessions})


@given(st.data())
def test_changed_checkpoints(folder, good, gan, data):
    """The file is refused, or it is read and the networks and optimizers are those that were saved."""
    contents = data.draw(changed(good[0]))
    before = all_of(gan)
    if read_checkpoint(folder, contents, gan):
        assert checksum_of(contents) == checksum_of(good[0])
    assert all_of(gan) == before


@given(st.data())
def test_changed_generators(folder, good, gan, data):
    found = read_generator(folder, data.draw(changed(good[1])))
    if found is not None:
        assert found[1] == 2
        assert all(
            np.array_equal(a, b) for a, b in zip(found[0].state().values(), gan.generator.state().values(), strict=True)
        )


@given(json_values, st.binary(max_size=64), st.one_of(st.none(), st.integers(0, 2**64 - 1)))
def test_any_header(folder, gan, header, data, length):
    contents = malformed_inputs.tensors_file(header, data, length)
    assert not read_checkpoint(folder, contents, gan)
    assert read_generator(folder, contents) is None


@given(
    said=st.dictionaries(st.sampled_from(["step", "image_size", "width", "network", "g_optimizer.t"]), json_values),
    entry=st.fixed_dictionaries(
        {},
        optional={
            "dtype": texts,
            "shape": st.lists(numbers, max_size=4),
            "data_offsets": st.lists(numbers, max_size=3),
        },
    ),
    data=st.binary(max_size=64),
)
def test_headers_of_the_right_kind(folder, gan, said, entry, data):
    header = {"__metadata__": malformed_inputs.words(network="generator") | said, "0.kernel": entry}
    contents = malformed_inputs.tensors_file(header, data)
    assert not read_checkpoint(folder, contents, gan)
    assert read_generator(folder, contents) is None


@given(
    said=st.dictionaries(st.sampled_from(["step", "image_size", "width", "network", "other", "d_optimizer.t"]), texts)
)
@example({})
@example({"step": "32"})
@example({"image_size": "64"})
@example({"width": "2"})
@example({"network": "discriminator"})
@example({"d_optimizer.t": "512"})
def test_any_words_with_a_checksum_that_fits(folder, good, gan, said):
    """The checksum is right, but the metadata are not: the file is read only if they fit the file and the run."""
    as_checkpoint, as_generator = (
        malformed_inputs.forged(file, lambda tensors, words: words.update(said)) for file in good
    )
    sizes_fit = said.get("image_size", "32") == "32" and said.get("width", "1") == "1"
    before, updates = all_of(gan), said.get("d_optimizer.t", "0")
    is_right = sizes_fit and said.get("step", "2") == "2" and is_count(updates)
    assert read_checkpoint(folder, as_checkpoint, gan) == is_right
    assert all_of(gan) == before
    if is_right:
        assert gan.d_optimizer.t == int(updates)
    step = said.get("step", "2")
    found = read_generator(folder, as_generator)
    assert (found is not None) == (sizes_fit and said.get("network", "generator") == "generator" and is_count(step))
    if found is not None:
        assert found[1] == int(step)


def read_settings(folder, contents):
    """What was read, which survives being written again; None if the file was refused."""
    path = folder / "config.json"
    path.write_bytes(contents)
    found = told(read_config, path)
    if found is not None:
        assert found[0].check() == found[0]
        path.write_text(to_json(*found), encoding="utf-8")
        assert read_config(path) == found
    return found


@given(json_values)
def test_any_json_for_settings(folder, value):
    read_settings(folder, json.dumps(value).encode())
    read_settings(folder, json.dumps({"settings": value}).encode())


@given(st.dictionaries(st.sampled_from([*malformed_inputs.SETTINGS, "other"]), json_values, max_size=3), json_values)
def test_settings_with_strange_values(folder, changes, sessions):
    settings = {"settings": {**malformed_inputs.SETTINGS, **changes}, "sessions": sessions}
    read_settings(folder, json.dumps(settings).encode())


@given(changed(malformed_inputs.settings()))
def test_changed_settings(folder, contents):
    read_settings(folder, contents)


@given(st.binary(max_size=200))
def test_any_bytes(folder, gan, contents):
    read_settings(folder, contents)
    assert not read_checkpoint(folder, contents, gan)
    assert read_generator(folder, contents) is None


SPEED_LINE = b"0,5,1.250"


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            json_values.map(lambda value: json.dumps(value).encode()),
            st.just(SPEED_LINE),
            st.just(b'{"step": 7}'),
        ),
        max_size=5,
    )
)
def test_any_log(folder, lines):
    """A line that minigan did not write is passed over, and the lines that it wrote are still found."""
    for name in (CSV_NAME, SPEED_NAME, VITALS_NAME, METRICS_NAME):
        (folder / name).write_bytes(b"\n".join([*lines, b""]))
    steps, values = told(read_history, folder)
    assert len(steps) == len(values) == 0
    assert told(read_speed, folder) == lines.count(SPEED_LINE) * [(0, 5, 1.25)]
    for name in (VITALS_NAME, METRICS_NAME):
        rows = told(read_rows, folder, name)
        assert all(isinstance(row["step"], int) for row in rows)
        assert rows.count({"step": 7}) >= lines.count(b'{"step": 7}')
