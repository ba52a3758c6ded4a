"""Settings: each is declared once. Its option, its checks, and the way of resumed and older runs follow from that."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields, replace

import pytest

from minigan import train
from minigan.runs import config
from minigan.runs.config import PRESETS, RunConfig, read_config, resumed_config, to_json
from minigan.runs.setting_declaration import declared_settings, option, setting
from minigan.system.errors import UserError

DECLARED = {each.name: (each.default, told) for each, told in declared_settings(RunConfig)}
FIRST_VERSION = (
    *("preset", "data", "faces", "steps", "batch_size", "image_size", "width", "seed", "init", "backend"),
    *("sample_every", "save_every"),
)
"""What a config.json of the first version holds."""

CHANGEABLE = {"steps", "backend", "ranks", "tf32", "cuda_graph", "plain", "data", "metrics_every"}


@dataclass(frozen=True)
class Extended(RunConfig):
    """As if somebody had added two settings."""

    warmth: float = setting(0.5, "how warm ({quick.warmth:g})", range=(0, 2), metavar="WARMTH", added_later=True)
    motto: str = setting("none", "words for the day", choices=("none", "art"), fixed=False, added_later=True)


@pytest.fixture
def extended(monkeypatch):
    presets = {name: Extended(**asdict(preset)) for name, preset in PRESETS.items()}
    for module in (config, train):
        monkeypatch.setattr(module, "RunConfig", Extended)
        monkeypatch.setattr(module, "PRESETS", presets)
    return presets


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")


def help_of(capsys):
    with pytest.raises(SystemExit):
        train.main(["--help"])
    return " ".join(capsys.readouterr().out.split())


def other_value(name):
    """A value of a setting that is allowed and is not the default."""
    default, told = DECLARED[name]
    if isinstance(default, bool):
        return not default
    if told.choices is not None:
        return next(value for value in told.choices if value != default)
    return "elsewhere" if told.range is None else told.range[1]


# ------------------------------------------------------------------------------------------------- the declarations
@pytest.mark.parametrize("name", DECLARED)
def test_every_setting_says_what_it_is_and_what_is_allowed(name):
    default, told = DECLARED[name]
    assert len(told.help) > 10
    # A flag needs no range, a folder can have any name, and what has no option is written by minigan itself.
    is_free = isinstance(default, bool) or name == "data" or not told.has_option
    assert is_free or (told.range is None) != (told.choices is None)
    if told.range is not None:
        assert told.range[0] <= default <= told.range[1]


def test_a_misspelt_declaration_is_noticed():
    with pytest.raises(TypeError, match="rnage"):
        setting(1, "some help", rnage=(0, 2))


def test_help_holds_every_setting(capsys):
    text = help_of(capsys)
    for name, (_, told) in DECLARED.items():
        assert (option(name) + " " in text) == told.has_option
        assert not told.has_option or told.help.format(**PRESETS) in text


def test_help_names_the_presets_values(capsys):
    text = help_of(capsys)
    assert "training steps (10000; quick: 2500)" in text
    assert "{" not in re.sub(r"\{[\w,]+\}", "", text)  # of the braces, only those of choices are left


# ------------------------------------------------------------------------------------------------- checks
@pytest.mark.parametrize("name", [name for name, (_, told) in DECLARED.items() if told.range is not None])
def test_range(name):
    low, high = DECLARED[name][1].range
    for value in (low, high):
        assert getattr(replace(RunConfig(), **{name: value}).check(), name) == value
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(UserError) as caught:
            replace(RunConfig(), **{name: value}).check()
        assert str(caught.value) == f"{option(name)}: must be between {low} and {high}, got {value}"


@pytest.mark.parametrize("name", [name for name, (_, told) in DECLARED.items() if told.choices is not None])
def test_choices(name):
    allowed = ", ".join(map(str, DECLARED[name][1].choices))
    with pytest.raises(UserError) as caught:
        replace(RunConfig(), **{name: "nothing"}).check()
    assert str(caught.value) == f"{option(name)}: must be one of {allowed}, got 'nothing'"


# ------------------------------------------------------------------------------------------------- resumed runs
@pytest.mark.parametrize("name", DECLARED)
def test_resumed_run_keeps_what_is_fixed(name):
    saved = RunConfig()
    assert resumed_config(saved, {name: getattr(saved, name)}) == saved
    given = {name: other_value(name)} | ({"backend": "cupy"} if name in ("tf32", "cuda_graph") else {})
    if name in CHANGEABLE:
        assert resumed_config(saved, given) == replace(saved, **given)
    else:
        with pytest.raises(UserError, match=f"^{option(name)}: a resumed run keeps its own value"):
            resumed_config(saved, given)


# ------------------------------------------------------------------------------------------------- config.json
def test_config_of_the_first_version_is_read(tmp_path):
    settings = {name: getattr(PRESETS["article"], name) for name in FIRST_VERSION}
    (tmp_path / "config.json").write_text(json.dumps({"settings": settings, "images": {"count": 3}}))
    assert read_config(tmp_path / "config.json") == (PRESETS["article"], {"images": {"count": 3}})


def test_a_run_of_an_earlier_quick_preset_keeps_its_settings(tmp_path):
    """What a preset says today plays no part: the file counts, and for younger settings what was done then."""
    first = {"preset": "quick", "faces": 4000, "steps": 1500, "batch_size": 16, "width": 32, "sample_every": 50}
    settings = {name: getattr(RunConfig(), name) for name in FIRST_VERSION} | first
    (tmp_path / "config.json").write_text(json.dumps({"settings": settings}))
    saved, _ = read_config(tmp_path / "config.json")
    expected = RunConfig(**first, ema=0.0, g_learning_rate=1.5e-4)
    assert saved == expected
    assert resumed_config(saved, {"steps": 2000}) == replace(expected, steps=2000)


@pytest.mark.parametrize("name", DECLARED)
def test_missing_setting(tmp_path, name):
    about = json.loads(to_json(RunConfig(), {}))
    del about["settings"][name]
    (tmp_path / "config.json").write_text(json.dumps(about))
    if name in FIRST_VERSION:
        with pytest.raises(UserError, match=f"{name} is missing"):
            read_config(tmp_path / "config.json")
    else:
        assert read_config(tmp_path / "config.json")[0] == RunConfig()


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("value", ["1", 1, 1.0, True, None, [1]])
def test_type_of_a_setting(tmp_path, name, value):
    default = DECLARED[name][0]
    if type(value) is type(default) or (name in ("data", "layers_sha256") and value == "1"):
        return
    about = json.loads(to_json(RunConfig(), {}))
    about["settings"][name] = value
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=re.escape(f"{name} is {value!r}")):
        read_config(tmp_path / "config.json")


def test_order_of_config_json():
    written = list(json.loads(to_json(RunConfig(), {}))["settings"])
    assert written == [each.name for each in fields(RunConfig)]
    assert written[:8] == ["preset", "data", "faces", "steps", "batch_size", "image_size", "width", "seed"]


# ------------------------------------------------------------------------------------------------- one more setting
def test_a_new_setting_needs_nothing_but_its_field(extended, tmp_path, capsys):
    text = help_of(capsys)
    assert "--warmth WARMTH how warm (0.5)" in text
    assert "--motto {none,art} words for the day" in text

    assert train.main(["--dry-run", "--out", str(tmp_path / "run"), "--warmth", "1.5", "--motto", "art"]) == 0
    assert re.search(r"  warmth +1\.5\n  motto +art\n", capsys.readouterr().out)
    with pytest.raises(UserError, match=r"^--warmth: must be between 0 and 2, got 3\.0$"):
        train.main(["--dry-run", "--out", str(tmp_path / "run"), "--warmth", "3"])

    (tmp_path / "config.json").write_text(to_json(RunConfig(), {}))  # of before the setting
    older, _ = read_config(tmp_path / "config.json")
    assert older == Extended()
    assert resumed_config(older, {"motto": "art"}) == Extended(motto="art")
    with pytest.raises(UserError, match=r"^--warmth: a resumed run keeps its own value, 0\.5, got 1\.0"):
        resumed_config(older, {"warmth": 1.0})


def test_setting_that_follows_another_in_help(capsys):
    order = [
        name for name in re.findall(r"\[(--[a-z0-9-]+)", help_of(capsys)) if name[2:].replace("-", "_") in DECLARED
    ]
    assert order.index("--image-size") == order.index("--width") + 1
    assert order.index("--tf32") == order.index("--ranks") + 1
    assert order.index("--plain") == order.index("--cuda-graph") + 1
    assert order.index("--init") == order.index("--plain") + 1
