"""Checkpoint files: equal bytes for equal states, readable by the safetensors library, and every damage is noticed."""

import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from malformed_inputs import flipped

from minigan.gan.step import build_gan
from minigan.runs import checkpoint


@pytest.fixture(scope="module")
def gan():
    """Networks for `load_checkpoint`, which must not change them when it refuses a file."""
    return build_gan(image_size=32, width=1)


@pytest.fixture(scope="module")
def saved(gan, tmp_path_factory):
    """Bytes of a checkpoint, and the length of its header."""
    path = checkpoint.save_checkpoint(tmp_path_factory.mktemp("saved"), gan, step=4, image_size=32, width=1)
    data = path.read_bytes()
    return data, 8 + int.from_bytes(data[:8], "little")


def test_equal_states_make_equal_bytes(tmp_path):
    """Also in another process: the order of the header is always the same."""
    gan = build_gan(image_size=32, width=1)
    script = (
        "import sys; from pathlib import Path; from minigan.gan import build_gan; from minigan.runs import checkpoint;"
        "gan = build_gan(image_size=32, width=1);"
        "checkpoint.save_checkpoint(Path(sys.argv[1]), gan, step=7, image_size=32, width=1)"
    )
    (tmp_path / "other").mkdir()
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "other")], check=True)
    written = [checkpoint.save_checkpoint(tmp_path, gan, step=7, image_size=32, width=1).read_bytes() for _ in range(8)]
    written.append(next((tmp_path / "other").iterdir()).read_bytes())
    assert len(set(written)) == 1


def test_checkpoints_are_safetensors_files(saved, tmp_path):
    """The safetensors library reads them, and minigan reads a file whose header has another order."""
    path = checkpoint.checkpoint_path(tmp_path, 4)
    path.write_bytes(saved[0])
    tensors, words = checkpoint.load_tensors(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert theirs.keys() == tensors.keys()
    assert all(np.array_equal(theirs[name], tensors[name]) for name in tensors)
    assert metadata.items() > words.items()
    path.write_bytes(safetensors.numpy.save(theirs, dict(reversed(metadata.items()))))
    assert checkpoint.load_tensors(path)[1] == words


def insist_on_damage(folder, gan, contents):
    """Opening it raises DamagedFileError and nothing else, so that a run goes back to the checkpoint before."""
    path = checkpoint.checkpoint_path(folder, 4)
    path.write_bytes(contents)
    with pytest.raises(checkpoint.DamagedFileError) as caught:
        checkpoint.load_checkpoint(path, gan, image_size=32, width=1)
    assert str(caught.value).isprintable()
    with pytest.raises(checkpoint.DamagedFileError):
        checkpoint.load_tensors(path)


def test_flipped_bits_are_noticed(saved, gan, tmp_path):
    data, header = saved
    for position in [*range(0, header, 61), *range(header, len(data), len(data) // 60), len(data) - 1]:
        insist_on_damage(tmp_path, gan, flipped(data, position, position % 8))


@pytest.mark.thorough
@pytest.mark.parametrize("part", range(8))
def test_a_bit_flipped_in_any_byte_is_noticed(saved, gan, tmp_path, part):
    """One bit of every byte of the data, and every bit of the header."""
    data, header = saved
    rng = random.Random(part)
    for position in range(part, len(data), 8):
        for bit in range(8) if position < header else [rng.randrange(8)]:
            insist_on_damage(tmp_path, gan, flipped(data, position, bit))


def test_cut_short_at_some_lengths(saved, gan, tmp_path):
    data, header = saved
    for length in [0, 1, 7, 8, 9, header - 1, header, header + 1, len(data) // 2, len(data) - 1]:
        insist_on_damage(tmp_path, gan, data[:length])
    insist_on_damage(tmp_path, gan, data + b"\0")


@pytest.mark.thorough
def test_cut_short_at_any_length(saved, gan, tmp_path):
    data, header = saved
    for length in [*range(header), *range(header, len(data), 7)]:
        insist_on_damage(tmp_path, gan, data[:length])


def test_flipped_bit_is_not_taken_for_another_width(tmp_path):
    """Checkpoints of width 4 and 5 have nearly the same length, so only the checksum can tell."""
    path = checkpoint.save_checkpoint(tmp_path, build_gan(image_size=32, width=5), step=4, image_size=32, width=5)
    data = path.read_bytes()
    path.write_bytes(flipped(data, data.index(b'"width":"5"') + 9, 0))
    for width in (4, 5):
        with pytest.raises(checkpoint.DamagedFileError, match="checksum"):
            checkpoint.load_checkpoint(path, build_gan(image_size=32, width=width), image_size=32, width=width)


def test_without_memory_for_the_copies_of_the_library_there_is_an_error_and_the_process_lives(monkeypatch, tmp_path):
    """The library is written in Rust, where a program without memory ends."""
    state = {"a": np.ones((100, 100), np.float32)}
    path = tmp_path / "old.safetensors"
    checkpoint.save_tensors(path, state, {})
    before = path.read_bytes()
    wanted = []

    def no_memory(size, dtype):
        wanted.append(size)
        raise MemoryError

    def too_late(*_):
        raise AssertionError("the process would have ended")

    monkeypatch.setattr(checkpoint, "np", SimpleNamespace(**{**vars(np), "empty": no_memory}))
    for name in ("save", "load"):
        monkeypatch.setattr(safetensors.numpy, name, too_late)
    with pytest.raises(MemoryError):
        checkpoint.save_tensors(path, state, {})
    with pytest.raises(MemoryError):
        checkpoint.load_tensors(path)
    assert path.read_bytes() == before
    assert min(wanted) >= 2 * state["a"].nbytes
