"""Faces from a trained generator: its noise, and drawing in batches."""

from __future__ import annotations

import numpy as np

from minigan.evaluation.samples import draw_faces, path_between, random_noise
from minigan.gan.models import generator
from minigan.nn.backend import NUMPY


def test_first_faces_of_a_seed_do_not_depend_on_the_count():
    np.testing.assert_array_equal(random_noise(3, 7)[:2], random_noise(3, 2))
    assert not np.array_equal(random_noise(3, 2), random_noise(4, 2))


def test_a_way_goes_from_one_face_to_the_other_at_full_length():
    ends = random_noise(3, 2)
    path, ends = path_between(ends, 9).reshape(9, 100), ends.reshape(2, 100)
    np.testing.assert_allclose(path[[0, -1]], ends, atol=1e-5)
    lengths = np.linalg.norm(path, axis=1)
    assert lengths.min() > 0.95 * np.linalg.norm(ends, axis=1).min()  # a straight line would sink to about 0.7
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert steps.max() < 1.3 * steps.min()


def test_a_way_over_several_faces_meets_each_of_them():
    ends = random_noise(5, 4)
    path = path_between(ends, 10)
    assert path.shape == (10, 1, 1, 100)
    np.testing.assert_allclose(path[::3], ends, atol=1e-5)
    np.testing.assert_allclose(path[3:7], path_between(ends[1:3], 4), atol=1e-5)


def test_a_way_without_an_angle_is_straight():
    a = random_noise(1, 1)
    for other in (a, -a, 0 * a):
        path = path_between(np.concatenate([a, other]), 3)
        np.testing.assert_allclose(path[1], (a + other)[0] / 2, atol=1e-5)


def test_each_face_belongs_to_its_noise_whatever_the_batch_size():
    G = generator(image_size=32, width=2)
    noise = random_noise(1, 5)
    faces = draw_faces(G, noise, NUMPY, batch_size=5)
    assert faces.shape == (5, 32, 32, 3)
    assert faces.dtype == np.uint8
    assert len({face.tobytes() for face in faces}) == 5
    for batch_size in (1, 2):
        again = draw_faces(G, noise, NUMPY, batch_size=batch_size)
        np.testing.assert_allclose(again.astype(int), faces, atol=1)  # the last digits may round otherwise


def test_broken_weights_give_no_faces():
    G = generator(image_size=32, width=2)
    G.params()["0.kernel"][:] = np.nan
    assert draw_faces(G, random_noise(1, 3), NUMPY, batch_size=2) is None


def test_progress_is_shown_for_many_batches_only_if_asked(capsys):
    G = generator(image_size=32, width=2)
    for batch_size, progress, shown in ((1, True, True), (1, False, False), (4, True, False)):
        draw_faces(G, random_noise(1, 8), NUMPY, batch_size=batch_size, progress=progress)
        assert ("Drawing" in capsys.readouterr().err) is shown
