"""The documentation's settings. `tox -e docs` builds it, with warnings as errors."""

project = "Flask-Realtime"
author = "Flask-Realtime contributors"
copyright = "Flask-Realtime contributors"

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "Flask-Realtime"
