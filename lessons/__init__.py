"""The course: fourteen lessons from an array to a latent space.

`lessons.notebook` is what the notebooks import. Their only source are the files in ``lessons/src``, from which
``lessons/build.py`` makes the notebooks. Start with ``lessons/README.md``.
"""
