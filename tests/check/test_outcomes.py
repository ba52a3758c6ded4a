"""What a check returns, and how it looks where a notebook or a prompt shows it."""

import numpy as np
import pytest

from minigan.check import check, check_network
from minigan.gan.models import generator


def doubled_forward(x):
    return 2 * x, x


def test_the_result_of_a_check_gives_no_hint_away(capsys):
    outcome = check("tanh", doubled_forward)
    printed = capsys.readouterr().out
    hints = outcome.finding.hints
    assert len(hints) == 3
    assert " ".join(printed.split()).count("Hint 1 of 3") == 1
    assert not any(hint in repr(outcome) or hint in str(outcome) for hint in hints)
    assert outcome.finding.code in repr(outcome)


def test_a_notebook_shows_nothing_more_than_was_printed(capsys):
    """IPython calls this in the place of `repr` for the last line of a cell."""
    outcome = check("tanh", doubled_forward)
    capsys.readouterr()
    assert outcome._ipython_display_() is None
    assert capsys.readouterr().out == ""


def test_numbers_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="check: seed must be 0 or more, got -1"):
        check("tanh", doubled_forward, seed=-1)
    network = generator(image_size=32, width=2, dtype=np.float64)
    for name, value, least in (("batch_size", 1, 2), ("seed", -1, 0), ("probes", 0, 1)):
        with pytest.raises(ValueError, match=f"check_network: {name} must be at least {least}, got {value}"):
            check_network(network, **{name: value})


def test_hints_stay_in_the_data():
    outcome = check("tanh", doubled_forward)
    assert len(outcome.to_dict()["finding"]["hints"]) == 3


def test_the_result_for_a_network_shows_nothing_more_than_was_printed(capsys):
    import numpy as np

    from minigan.nn.layers import Dense
    from minigan.nn.network import Sequential

    layer = Dense(3, 2, kernel_initializer=np.random.default_rng(0).standard_normal)
    errors = check_network(Sequential([layer], input_shape=(3,)))
    assert capsys.readouterr().out == errors.verdict + "\n"
    assert errors._ipython_display_() is None
    assert capsys.readouterr().out == ""
