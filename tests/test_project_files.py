"""What people meet around the code: versions that agree, forms that work, workflows that call what there is."""

import re
import tomllib

import pytest
import yaml
from places import ROOT

import minigan

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESSES = ("Repository", "Issues", "Documentation", "Changelog")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == minigan.__version__
    assert citation["license"] == PROJECT["license"]
    assert {"message", "title", "type", "authors"} <= set(citation)
    assert citation.get("repository-code") == PROJECT.get("urls", {}).get("Repository")


def test_the_list_of_changes_knows_this_version():
    headings = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.M)
    assert headings[0] == "Not released"
    assert headings[1] == minigan.__version__


MISSING = [name for name in ADDRESSES if name not in PROJECT.get("urls", {})]


@pytest.mark.xfail(
    bool(MISSING), reason=f"not yet in [project.urls] of pyproject.toml: {', '.join(MISSING)}", strict=True
)
def test_the_project_has_its_addresses():
    """Until it has, no page links to a repository; then CITATION.cff needs repository-code, too."""
    assert not MISSING


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_for_issues_is_one(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["type"] in {"input", "textarea", "dropdown", "checkboxes"} for field in fields)
    assert all(field["attributes"]["label"] for field in fields)
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_there_is_a_form_for_a_run_and_one_for_a_gpu():
    texts = [path.read_text(encoding="utf-8") for path in FORMS]
    assert any("evaluate runs/NAME --diagnosis" in text for text in texts)
    assert any("make gpu" in text for text in texts)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_targets_that_there_are(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["jobs"]
    assert workflow["permissions"] == {"contents": "read"}, "a job that needs more asks for it itself"
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    assert set(re.findall(r"run: make ([a-z-]+)", text)) <= targets
    for job in workflow["jobs"].values():
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", s["uses"]) for s in job["steps"] if "uses" in s)


def test_a_release_is_built_before_it_is_published():
    jobs = yaml.safe_load(read(".github/workflows/release.yml"))["jobs"]
    assert any(step.get("run", "").startswith("make dist ") for step in jobs["build"]["steps"])
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
