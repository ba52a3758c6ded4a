"""Playing with a trained generator: a page to explore its faces, from a local server or as a folder of files.

`explore_server` serves the page on this machine, `static_page` writes it to a folder for any file server,
`explore_page` makes it, and `directions` says which sliders it has. What runs in the browser lies in ``browser/``.
"""
