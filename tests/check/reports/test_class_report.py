"""The HTML report: well-formed, safe whatever a student's file says, readable without colour, script or network."""

import math
import re
from datetime import datetime
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest

from minigan.check.codes import CODES
from minigan.check.outcomes import (
    CHECKER_ERROR,
    FAILED,
    NOT_CHECKED,
    NOT_IMPLEMENTED,
    PASSED,
    FileReport,
    Finding,
    Outcome,
)
from minigan.check.reports import class_report
from minigan.check.reports.class_report import render_html
from minigan.check.reports.heat_maps import luminance
from minigan.pages import html
from minigan.pages.html import DARK, LIGHT

NOW = datetime(2026, 3, 12, 14, 5)

LESSONS = {
    "dense": 3,
    "relu": 3,
    "leaky_relu": 3,
    "tanh": 3,
    "sigmoid": 3,
    "flatten": 3,
    "bce_with_logits": 4,
    "sgd": 5,
    "momentum": 5,
    "adam": 5,
    "discriminator_step": 6,
    "generator_step": 6,
    "conv2d": 8,
    "conv2d_transpose": 9,
    "batch_norm": 10,
    "batch_norm_inference": 10,
    "moving_average": 10,
}

FINDINGS = {
    "sigmoid": Finding(
        "E39",
        "forward",
        "the formula overflows for large inputs",
        ("x = -1000: yours nan, expected 0", "RuntimeWarning: overflow encountered in exp"),
        "`np.exp(-x)` is infinite for x = -1000.",
        (
            "For which x is `np.exp(-x)` larger than any float?",
            "Use `np.exp(x) / (1 + np.exp(x))` where x is negative.",
            "`y = np.where(x >= 0, 1 / (1 + e), e / (1 + e))` with `e = np.exp(-np.abs(x))`.",
        ),
        "sigmoid_forward: y",
    ),
    "adam": Finding(
        "E72",
        "behaviour",
        "the bias correction is missing",
        ("step 1: yours -0.000316, expected -0.001", "step 100: yours -0.0021, expected -0.0019"),
        "The first steps are too small by the factor (1 - beta1) / sqrt(1 - beta2).",
        ("m and v start at zero; what is their expectation after one step?", "Divide m by `1 - beta1**t`."),
        "adam_step: p",
    ),
    "generator_step": Finding(
        "E82",
        "behaviour",
        "the other network is changed",
        ("D: 12 of 14 arrays changed, the largest change is 2.0e-04", "G: all arrays changed, as they should"),
        "`optimizer.step` was given the parameters of both networks.",
        ("Whose weights should a generator step move?",),
        "generator_step",
    ),
    "conv2d": Finding(
        "E54",
        "gradient",
        "the kernel is flipped",
        (
            "100 % of dx wrong on 3 of 3 shapes; dw and db are right",
            "smallest failing shape: x (1, 4, 5, 1), w (3, 3, 1, 1), stride 1, pad 1",
        ),
        "dx equals the numeric gradient of a convolution with the kernel turned by 180 degrees.",
        (
            "Write down which outputs the pixel x[0, 0] takes part in.",
            "In which order do the kernel's rows meet that pixel?",
            "Drop the `[::-1, ::-1]`: col2im already puts every patch back where it came from.",
        ),
        "conv2d_backward: dx",
    ),
    "batch_norm": Finding(
        "E58",
        "gradient",
        "the path through the batch mean is missing",
        (
            "100 % of dx wrong; worst at (2, 1, 0, 4): yours +0.83, numeric +0.31",
            "the error is one constant per channel, the same for all samples and pixels",
        ),
        "`mu` depends on every x_i, so x_i reaches every y_j through it.",
        (
            "Draw the graph from x to y. How many arrows leave x?",
            "What does `dy` have to do with `mu`? Sum over everything that `mu` feeds.",
            "Add `dmu / N` to every entry, with `dmu = -dxhat.sum(axes) / std`.",
        ),
        "batch_norm_backward: dx",
    ),
    "flatten": Finding("E10", "contract", "it raises an exception", ("IndexError: tuple index out of range",), "", ()),
}

PROBLEM = Finding(
    "E01",
    "load",
    "the file is not valid Python",
    ("line 41: def relu_forward(x)", "                          ^", "SyntaxError: expected ':'"),
    "A colon is missing at the end of the line.",
    ("Look at the line above as well.",),
)


def picture(rows=4, columns=5, shift=0.4, seed=0):
    numeric = np.random.default_rng(seed).normal(size=(rows, columns)).round(3)
    return {"name": "dx", "index": "n=0, c=1", "yours": (numeric + shift).tolist(), "numeric": numeric.tolist()}


def outcome(exercise, status=PASSED, **more):
    if status == FAILED:
        more.setdefault("finding", FINDINGS.get(exercise))
        if more["finding"].rung == "gradient":
            more.setdefault("picture", picture())
            more.setdefault("passed", ["forward", "shapes", "dw", "db"])
    elif status == PASSED:
        more.setdefault("passed", ["forward", "dx"])
    return Outcome(exercise, status, lesson=LESSONS[exercise], seconds=0.01 * len(exercise), **more)


def student(path="my_layers.py", wrong=(), missing=(), unchecked=(), problem=None, **more):
    """A report as the engine makes it: everything passes but what is named."""
    status = dict.fromkeys(LESSONS, PASSED)
    for names, what in ((wrong, FAILED), (missing, NOT_IMPLEMENTED), (unchecked, NOT_CHECKED)):
        status.update(dict.fromkeys(names, what))
    outcomes = [] if problem else [outcome(exercise, what) for exercise, what in status.items()]
    return FileReport(path, outcomes, problem, seconds=2.7, **more)


def one():
    report = student(
        wrong=["sigmoid", "conv2d", "batch_norm"],
        missing=["discriminator_step", "generator_step", "batch_norm_inference", "moving_average"],
        unchecked=["conv2d_transpose"],
    )
    report.outcomes[12].picture = picture(14, 16, 1.0)
    return [report]


def many():
    names = ["ada", "ben", "chidi", "dora", "emil", "fatima", "goran", "hana", "ivo", "jun", "karla"]
    exercises = list(LESSONS)
    reports = []
    for k, name in enumerate(names):
        missing = exercises[17 - 3 * (k % 4) :]
        wrong = [e for i, e in enumerate(FINDINGS) if (i + k) % 3 == 0 and e not in missing]
        unchecked = ["conv2d_transpose"] if k % 5 == 2 else []
        reports.append(student(f"class/{name}/my_layers.py", wrong, missing, unchecked))
    reports.append(student("class/lena/my_layers.py", problem=PROBLEM))
    reports[4].outcomes[3] = outcome("tanh", CHECKER_ERROR)
    return reports


class Tree(HTMLParser):
    """Checks that tags balance; collects ids, links, attributes and the text outside of style and script."""

    VOID = frozenset({"meta", "rect", "path", "wbr"})

    def __init__(self, page):
        super().__init__()
        self.stack, self.ids, self.links, self.attributes, self.words, self.tags = [], [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.stack == []

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs
        self.tags.append(tag)

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


PAGES = {"none": [], "one": one(), "many": many(), "problem": [student(problem=PROBLEM)]}


def render(reports, **more):
    return render_html(reports, now=NOW, **more)


@pytest.mark.parametrize("reports", PAGES.values(), ids=PAGES)
def test_well_formed(reports):
    page = render(reports)
    tree = Tree(page)
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert len(set(tree.ids)) == len(tree.ids)
    assert {link for link in tree.links if link[1:] not in tree.ids or link[0] != "#"} == set()
    assert "2026-03-12 14:05" in tree.text


@pytest.mark.parametrize("reports", PAGES.values(), ids=PAGES)
def test_loads_nothing(reports):
    page = render(reports)
    assert not re.search(r"https?://|src=|url\(|@import|<link|<iframe|<object", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("reports", PAGES.values(), ids=PAGES)
def test_same_input_same_page(reports):
    assert render(reports) == render(reports)


def test_the_template_uses_every_value(monkeypatch):
    given, used = {}, set()
    monkeypatch.setattr(class_report, "render", lambda template, **values: given.update(values) or "")
    for reports in (one(), many()):
        render(reports)
        names = given.keys() - {"light", "dark"}  # these have defaults
        for name in names:
            try:
                html.render("class_report.html", **{k: v for k, v in given.items() if k != name})
            except (
                jinja2.UndefinedError,
                TypeError,
            ):  # the second for the title, which `render` itself asks for
                used.add(name)
    assert used == names


def test_the_present_by_default():
    assert f"{datetime.now():%Y-%m-%d}" in render_html([])


def test_title():
    assert "<title>Layers &amp; losses</title>" in render(one(), title="Layers & losses")


EVIL = "</pre></style><script>alert('x')</script><img onerror=\"y\" src='z'>&amp; ${title} $body"


def evil():
    finding = Finding("E10", "contract", EVIL, (EVIL, EVIL), EVIL, (EVIL, EVIL), EVIL)
    drawn = {"name": EVIL, "index": [EVIL, 0], "yours": [[EVIL, 1.0]], "numeric": [[EVIL, 2.0]]}
    outcomes = [Outcome(EVIL, FAILED, finding, [EVIL], 3, 0.1, drawn), Outcome(EVIL, EVIL, lesson=3)]
    strange = Finding(EVIL, EVIL, EVIL)
    return [
        FileReport(EVIL, outcomes, layout=EVIL),
        FileReport(EVIL, [], strange),
        FileReport("x", [Outcome("relu", FAILED, strange)]),
    ]


@pytest.mark.parametrize("reports", [evil(), *([report] for report in evil())], ids=["all", "1", "2", "3"])
def test_escaping(reports):
    page = render(reports, title=EVIL)
    tree = Tree(page)
    assert tree.tags.count("script") == 1
    assert "img" not in tree.tags
    assert {name for name, _ in tree.attributes} & {"onerror", "src"} == set()
    assert EVIL in " ".join(tree.words)


def test_what_cannot_be_printed():
    report = student()
    report.outcomes[0] = outcome(
        "dense", FAILED, finding=Finding("E10", "contract", "the a\x00b\x1b[31mc\ud800d\u202ee")
    )
    page = render([report])
    assert "The a�b�[31mc�d�e" in page
    assert page.encode()


def test_code_in_backticks():
    assert "<code>np.exp(-x)</code> is infinite" in render(one())
    finding = Finding("E30", "forward", "`a < b`")
    assert "<code>a &lt; b</code>" in render([FileReport("f.py", [outcome("tanh", FAILED, finding=finding)])])


def test_one_file_has_every_outcome():
    text = Tree(render(one())).text
    assert all(exercise in text for exercise in LESSONS)
    for words in ("9 of 17 exercises solved.", "✓ 9 passed", "✗ 3 failed", "– 4 not implemented", "! 1 not checked"):
        assert words in text
    finding = FINDINGS["batch_norm"]
    assert all(line in text for line in (*finding.evidence, finding.where, "E58", "Probably:", "lesson 10"))
    assert "The path through the batch mean is missing" in text
    assert "Right so far: forward, shapes, dw, db" in text


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("the kernel is flipped", "The kernel is flipped"),
        ("it exits", "It exits"),
        ("dx is zero", "dx is zero"),
        ("dgamma is zero", "dgamma is zero"),
        ("relu_forward exits", "relu_forward exits"),
        ("y = 3", "y = 3"),
        ("", ""),
    ],
)
def test_capitals_but_not_for_names(title, shown):
    page = render([FileReport("f.py", [outcome("tanh", FAILED, finding=Finding("E10", "contract", title))])])
    assert f'<p class="title">{shown}</p>' in page


def test_order_of_exercises_is_kept():
    names = re.findall(r'<h2 class="name">.*?<span>(.*?)</span></h2>', render(one()))
    assert names == list(LESSONS)


def test_all_solved():
    text = Tree(render([student()])).text
    assert "All 17 of 17 exercises solved." in text
    assert "failed" not in text


def test_checker_error():
    text = Tree(render([FileReport("f.py", [outcome("tanh", CHECKER_ERROR)])])).text
    assert "? 1 checker error" in text


def test_failure_without_finding():
    assert "failed" in Tree(render([FileReport("f.py", [Outcome("tanh", FAILED)])])).text
    assert "✗" in Tree(render([FileReport(p, [Outcome("tanh", FAILED)]) for p in "ab"])).text


@pytest.mark.parametrize("hint", [0, 1, 2, 3])
def test_hints_are_folded_not_missing(hint):
    page = render([FileReport("f.py", [outcome("batch_norm", FAILED)])], hint=hint)
    assert "Draw the graph" in page
    assert "dmu / N" in page
    folds = re.findall(r'<details class="hint"( open)?><summary>Hint (\d)', page)
    expected = [(" open" if level <= hint else "", str(level)) for level in (1, 2, 3)]
    assert folds == (expected if hint == 0 else expected[1:])


def test_ladder_names_the_broken_rung():
    page = render([FileReport("f.py", [outcome("batch_norm", FAILED)])])
    assert '<li class="broken" aria-current="step">✗ gradient</li>' in page


def test_file_with_a_problem():
    text = Tree(render([student(problem=PROBLEM)])).text
    assert "This file could not be checked E01" in text
    assert "SyntaxError: expected ':'" in text


def test_problem_and_outcomes():
    report = student()
    report.problem = PROBLEM
    text = Tree(render([report])).text
    assert "E01" in text
    assert "moving_average" in text


# ---------------------------------------------------------------- class


def test_class_table():
    reports = many()
    page = render(reports)
    tree = Tree(page)
    assert page.count('scope="row" title="class/') == len(reports)
    assert page.count('class="exercise') == len(LESSONS)
    assert [int(n) for n in re.findall(r'scope="colgroup" colspan="(\d)', page)] == [6, 1, 3, 2, 1, 1, 3]
    failed = sum(report.count(FAILED) + report.count(CHECKER_ERROR) for report in reports)
    assert len(re.findall(r'<td class="(?:fail|oops)[^>]*><a href="#f\d+e\d+"', page)) == failed
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    for word, status in (("pass", PASSED), ("todo", NOT_IMPLEMENTED), ("skip", NOT_CHECKED)):
        assert len(re.findall(f'<td class="{word}', body)) == sum(report.count(status) for report in reports)
    assert 'colspan="17"><a href="#f12p">' in page
    assert "1 file could not be checked" in tree.text


def test_class_totals():
    reports = many()
    page = render(reports)
    for exercise in LESSONS:
        solved = sum(o.status == PASSED for report in reports for o in report.outcomes if o.exercise == exercise)
        assert f'title="{solved} of 12 solved {exercise}"' in page


def test_legend_of_codes():
    page = render(many())
    legend = page.split('class="codes"')[1].split("</table>")[0]
    found = {code for code in CODES if f">{code}</span>" in legend}
    assert found == {"E01", *(finding.code for finding in FINDINGS.values())}
    assert "The path through the batch mean is missing" in legend
    assert "the file" in legend
    assert 'id="codes"' not in render([student("a.py"), student("b.py")])


def test_files_with_different_exercises():
    reports = [
        FileReport("a.py", [outcome("conv2d")]),
        FileReport("b.py", [outcome("batch_norm"), outcome("dense")]),
        FileReport("c.py", []),
    ]
    page = render(reports)
    heads = re.findall(r'class="exercise[^"]*" scope="col" data-sort><span>(\w+)<', page)
    assert heads == ["dense", "conv2d", "batch_norm"]
    assert page.count("not asked for") == 6


def test_no_outcome_at_all():
    Tree(render([FileReport("a.py", []), FileReport("b.py", [], PROBLEM)]))
    assert "No exercise was checked." in render([FileReport("a.py", [])])


# ---------------------------------------------------------------- heat maps


def draw(**changes):
    return render([FileReport("f.py", [outcome("conv2d", FAILED, picture={**picture(), **changes})])])


def test_picture():
    page = draw()
    assert page.count('<figure class="map">') == 3
    assert len(re.findall(r'<g class="\w+"><title>', page)) == 3 * 4 * 5
    assert "<code>dx[n=0, c=1]</code>" in page
    assert page.count('class="worst"') == 3
    assert 'aria-label="numeric: 4 by 5 values from −2.325 to +1.304"' in page
    assert "<title>yours, row 0, column 1: +0.268</title>" in page


@pytest.mark.parametrize("index", [[0, 2], (0, 2), "0, 2"])
def test_index_of_the_slice(index):
    assert "<code>dx[0, 2]</code>" in draw(index=index)


def test_no_index():
    assert "<code>dx</code>" in draw(index=None)


def test_picture_with_odd_values():
    page = draw(yours=[[math.nan, math.inf, -math.inf], [None, "?", 1.0]], numeric=[[0.5, 0.5, 0.5], [1.0, 1.0, 1.0]])
    Tree(page)
    for words in (
        ">NaN<",
        ">+∞<",
        ">−∞<",
        "yours, row 1, column 0: nothing",
        "5 not finite",
        "yours NaN, numeric +0.5",
    ):
        assert words in page


def test_large_cells_only_where_they_fit():
    page = draw(**picture(16, 16))
    assert len(re.findall(r'<g class="\w+"><title>', page)) == 3 * 256
    assert "<title>yours, row 15, column 15" in page
    assert '<path d="M' in page


def test_larger_pictures_are_cut():
    page = draw(**picture(20, 40))
    assert len(re.findall(r'<g class="\w+"><title>', page)) == 3 * 256
    assert "first 16 × 16 entries only" in page


@pytest.mark.parametrize(("shift", "shared"), [(0.4, True), (0.1, False), (0.0, True)])
def test_small_differences_have_their_own_scale(shift, shared):
    page = draw(**picture(shift=shift))
    assert ("Colours of all three" in page) is shared
    assert ("Colours of the difference" in page) is not shared


def test_one_huge_value_does_not_make_the_rest_pale():
    page = draw(yours=[[9e9, 1.0, math.nan]], numeric=[[0.5, -1.0, 1.0]])
    assert "<span>≤ −1</span><span>0</span><span>≥ +1</span>" in page
    assert '<g class="p8"><title>yours, row 0, column 1: +1</title>' in page


def test_units_of_small_numbers():
    page = draw(yours=[[2e-5, -1e-5]], numeric=[[1e-5, 3e-5]])
    assert page.count(", in 10<sup>−5</sup></figcaption>") == 3
    assert ">−1.00<" in page


@pytest.mark.parametrize("value", [None, [], [[]], 3.0, "text", {"a": 1}])
def test_nothing_to_draw(value):
    assert "<figure" not in draw(yours=value, numeric=value)


@pytest.mark.parametrize(
    "value",
    [[1.0, 2.0], [[1.0], [2.0, 3.0]], [[0.0]], [[1e300, -1e308]], [[1e-320]], [[5e-324]], [[math.nan]], [[10**400]]],
)
def test_unusual_pictures(value):
    Tree(draw(yours=value, numeric=[[1.0, 2.0]]))
    Tree(draw(yours=[[1.0, 2.0]], numeric=value))
    Tree(draw(yours=value, numeric=value))


# ---------------------------------------------------------------- looks


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(theme):
    for ground in ("page", "paper", "sunk"):
        for ink in ("ink", "quiet", "link", "pass", "fail", "skip", "oops"):
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    for kind in ("pass", "fail", "todo", "skip", "oops"):
        assert contrast(theme[kind], theme[f"{kind}-soft"]) >= 4.5, kind
    assert contrast(theme["paper"], theme["fail"]) >= 4.5


def test_light_dark_paper_and_phone():
    page = render(one())
    for words in (
        "prefers-color-scheme:dark",
        "[data-theme=dark]",
        "@media print",
        "max-width:40rem",
        'name="viewport"',
        "--n8:#",
        ".n8{--c:var(--n8);--t:var(--n8t)}",
    ):
        assert words in page
    assert "focus-visible" in page
