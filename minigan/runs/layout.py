"""What lies in a run folder, and under which names.

    config.json                     settings, versions, machine
    training_log.txt                one line per step, in exactly the article's format
    log.csv                         the same, with all metrics and all digits
    vitals.jsonl                    health numbers of every 25th step (`minigan.runs.health`)
    metrics.jsonl                   how good the faces are, with --metrics-every (`minigan.evaluation.metrics`)
    images/0100_image.png           16 of that step's fakes (inference mode)
    images/0100fixed_image.png      16 faces from noise that never changes
    models/499_GENERATOR_...        both networks, every so many steps; all are kept (with --ema, also the average)
    checkpoints/step-000500...      all that is needed to go on; the last two are kept
    losses.png                      a plot of the losses, at every save
    faces.png  faces.gif            faces, and a film of faces, made when the run stops
    evaluation.json, evaluation.png     the newest networks measured, by `minigan.evaluate`, and the nearest images
    report.html                     all of it on one page, written again and again (`minigan.evaluation.run_report`)
    speed.csv                       how long the steps took
    .lock                           held by the process that writes to the run

Steps are numbered from 0. A checkpoint named 500 was taken when steps 0 to 499 were finished.

`minigan.runs.run_folder` writes these files, and `minigan.runs.run_records` reads them.
"""

from __future__ import annotations

import re

FOLDERS = ("images", "models", "checkpoints")
LOG_NAME, CSV_NAME, CONFIG_NAME = "training_log.txt", "log.csv", "config.json"
REPORT_NAME, SPEED_NAME = "report.html", "speed.csv"
VITALS_NAME, METRICS_NAME = "vitals.jsonl", "metrics.jsonl"
EVALUATION_NAME, EVALUATION_IMAGE_NAME = "evaluation.json", "evaluation.png"
SUMMARY_NAMES = ("losses.png", "faces.png", "faces.gif")

FACES_PER_IMAGE = 16
"""Faces in each file of images/, in rows of four."""

SHOWN_IMAGE, FIXED_IMAGE = (re.compile(rf"(\d{{1,12}}){kind}_image\.png", re.ASCII) for kind in ("", "fixed"))
"""Names in images/: fakes that the discriminator was shown, and faces from the fixed noise."""

MODEL = re.compile(r"(\d{1,12})_(GENERATOR|GENERATOR_EMA|DISCRIMINATOR)_weights_and_arch\.safetensors", re.ASCII)
"""Names in models/: the last finished step, and which network it is."""


def image_name(step: int, *, fixed: bool) -> str:
    """The article's name for a step's faces, from the fixed noise or not.

    >>> image_name(100, fixed=True)
    '0100fixed_image.png'
    """
    return f"{step:04d}{'fixed' if fixed else ''}_image.png"


def model_name(step: int, network: str) -> str:
    """The article's name for a network that is saved after a step.

    >>> model_name(499, "GENERATOR")
    '499_GENERATOR_weights_and_arch.safetensors'
    """
    return f"{step}_{network}_weights_and_arch.safetensors"
