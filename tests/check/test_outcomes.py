"""What a check returns, and how it looks where a notebook or a prompt shows it."""

from minigan.check import check, check_network
from minigan.check.outcomes import Outcome


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


def test_hints_stay_in_the_data():
    outcome = check("tanh", doubled_forward)
    assert Outcome.from_dict(outcome.to_dict()) == outcome
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
