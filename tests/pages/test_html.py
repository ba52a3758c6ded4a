"""What all pages share: every value is escaped, none may be missing, and no template can switch that off."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from datetime import datetime

import jinja2
import pytest
from jinja2 import nodes
from markupsafe import Markup

from minigan.pages import html

EVIL = "<img src=x onerror=alert(1)>'\"&</script><script>alert(2)</script>"
TEMPLATES = sorted(path.name for path in html.TEMPLATES.glob("*.html"))
PAGE = """{% extends "base.html" %}
{% from "pieces.html" import time, hidden %}
{% set kind = "narrow" %}
{% set images = true %}
{% set styles = ["run_report.css"] %}
{% set scripts = ["run_report.js"] %}
{% block head %}<link rel="icon" href="data:,">{% endblock %}
{% block style %}.extra{color:red}{% endblock %}
{% block body %}<p title="{{ words }}">{{ words }} {{ time(moment) }} {{ hidden(words) }}</p>{% endblock %}
"""


@pytest.fixture
def written(monkeypatch):
    """Templates of a test, as a dict to be filled; each can use and extend those of the package."""
    known = {"page.html": PAGE}
    environment = html.environment().overlay(
        loader=jinja2.ChoiceLoader([html.environment().loader, jinja2.DictLoader(known)])
    )
    monkeypatch.setattr(html, "environment", lambda: environment)
    return known


def parsed(name):
    environment = html.environment()
    return environment.parse(environment.loader.get_source(environment, name)[0])


def expression(code, /, **values):
    """What a template writes for an expression."""
    return html.environment().from_string("{{ " + code + " }}").render(**values)


# ------------------------------------------------------------------------------------------------------- the templates
@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_switches_escaping_off(name):
    tree = parsed(name)
    assert html.environment().autoescape is True
    assert not {use.name for use in tree.find_all(nodes.Filter)} & {"safe", "xmlattr", "forceescape", "urlize"}
    assert not list(tree.find_all((nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)))
    assert not [use.attr for use in tree.find_all(nodes.Getattr) if use.attr.startswith("_")]


@pytest.mark.parametrize("name", TEMPLATES)
def test_only_files_of_ours_are_written_as_they_are(name):
    """`source` takes constants, or what a template itself says are its styles and scripts."""
    for call in parsed(name).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "source":
            assert all(isinstance(given, nodes.Const) for given in call.args)
            assert call.dyn_args is None or call.dyn_args.node.name in ("styles", "scripts")
    for assignment in parsed(name).find_all(nodes.Assign):
        if getattr(assignment.target, "name", "") in ("styles", "scripts"):
            files = assignment.node.as_const()
            assert all(re.fullmatch(r"\w+\.(css|js)", file) and (html.TEMPLATES / file).is_file() for file in files)


@pytest.mark.parametrize("name", TEMPLATES)
def test_markup_is_in_templates_and_styles_and_scripts_are_not(name):
    words = (html.TEMPLATES / name).read_text(encoding="utf-8")
    assert name == "base.html" or not re.search(r"<style|<script(?! type=\"application/json\")", words)
    assert not re.search(r"\son\w+=", words)  # the security policy would not run it


@pytest.mark.parametrize("path", sorted(html.TEMPLATES.glob("*.js")), ids=lambda path: path.name)
def test_no_script_ends_its_element_or_takes_words_for_markup(path):
    words = path.read_text(encoding="utf-8")
    assert not re.search(r"</|<!--|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", words)


@pytest.mark.parametrize("path", sorted(html.TEMPLATES.glob("*.css")), ids=lambda path: path.name)
def test_no_style_ends_its_element_or_loads_anything(path):
    assert not re.search(r"</|<!--|@import|url\(", path.read_text(encoding="utf-8"))


# -------------------------------------------------------------------------------------------------------- how it writes
def test_every_value_is_escaped():
    assert expression("words", words=EVIL) == str(Markup.escape(EVIL))
    assert expression("words | cut", words=EVIL) == str(Markup.escape(EVIL))
    assert expression("'a' ~ words", words=EVIL) == "a" + str(Markup.escape(EVIL))


def test_what_would_not_print_is_replaced():
    assert expression("words", words="a\x00b\x1b[1mc\u202ed\u2066e\ud800f\r") == "a�b�[1mc�d�e�f�"
    assert expression("words", words="two\n\tlines, ö, 顔, 😀") == "two\n\tlines, ö, 顔, 😀"
    assert expression("number", number=1500) == "1500"


def test_a_missing_value_is_a_mistake(written):
    with pytest.raises(jinja2.UndefinedError, match="'missing' is undefined"):
        expression("missing")
    with pytest.raises(jinja2.UndefinedError, match="no attribute 'missing'"):
        expression("there.missing", there={})
    with pytest.raises(jinja2.UndefinedError, match="'moment' is undefined"):
        html.render("page.html", title="t", words="w")


def test_json_cannot_end_its_element():
    told = expression("data | tojson", data={"b": "</script><!--&'", "a": [1, 2.5]})
    assert told == r'{"b":"\u003c/script\u003e\u003c!--\u0026\u0027","a":[1,2.5]}'
    assert json.loads(told) == {"b": "</script><!--&'", "a": [1, 2.5]}
    with pytest.raises(ValueError, match="JSON"):
        expression("data | tojson", data=float("nan"))


# -------------------------------------------------------------------------------------------------------------- a page
def test_a_page(written):
    words = html.render("page.html", title=EVIL, words=EVIL, moment=datetime(2026, 3, 12, 14, 5, 7))
    safe = str(Markup.escape(EVIL))
    assert words.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert f"<title>{safe}</title>\n<link rel=" in words
    assert (
        f'<p title="{safe}">{safe} <time datetime="2026-03-12T14:05">2026-03-12 14:05</time> '
        f'<span class="hidden">{safe}</span></p>' in words
    )
    assert '<body class="narrow">' in words
    assert words.endswith("</html>\n")
    (script,) = re.findall(r"<script>(.*?)</script>", words, re.S)
    sources = [(html.TEMPLATES / name).read_text(encoding="utf-8") for name in ("base.js", "run_report.js")]
    assert script == "".join(sources)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; " in words
    (style,) = re.findall(r"<style>(.*?)</style>", words, re.S)
    places = [style.index(part) for part in ("*{box-sizing", ":root{", ".extra{color:red}", ".state{display:flex")]
    assert places == sorted(places)  # later rules win


def test_images_are_forbidden_where_none_are(written):
    written["bare.html"] = '{% extends "base.html" %}'
    words = html.render("bare.html", title="t")
    assert "content=\"default-src 'none'; style-src" in words
    assert '<body class="">' in words


def test_themes(written):
    dark = {**html.DARK, "pen": "#123456"}
    words = html.render("page.html", title="t", words="w", moment=datetime(2026, 1, 1), dark=dark)
    assert ":root{color-scheme:light;--page:#f6f5f2;" in words
    assert words.count("--pen:#123456;") == 2  # where the system asks for it, and where the reader does
    assert html.LIGHT.keys() == html.DARK.keys()


def test_pieces_are_the_page(written):
    values = {"title": "t", "words": EVIL, "moment": datetime(2026, 1, 1)}
    assert "".join(html.stream("page.html", **values)) == html.render("page.html", **values)


def test_jinja_is_imported_with_the_first_page():
    code = "import sys, minigan.pages.html, minigan.evaluation.run_report; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
