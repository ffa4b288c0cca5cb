"""How the documentation is built: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "dgmm"
author = "The dgmm developers"
copyright = "the dgmm developers; BSD-3-Clause"
version = release = version_of("dgmm")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_click",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "places",
]
exclude_patterns = [
    "_build",
    "_templates",
    "gallery/*.ipynb",
    "gallery/*.py",
    "gallery/*.md5",
    "_ext",
    "**sg_execution_times.rst",
]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # functions in the gallery's configuration
default_role = "py:obj"  # one backtick names a thing of the API, as in docstrings
nitpicky = False

# Pages
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = ["http", "https", "mailto"]

# API
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say them, with shapes
numpydoc_show_class_members = False

# The site asks nobody for anything: formulas are MathML, fonts and scripts are the theme's own.
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "dgmm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "dgmm"},
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",  # all are executed
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("dgmm",),
    "reference_url": {"dgmm": None},
    "backreferences_dir": "gallery/backreferences",
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 0,
    "matplotlib_animations": False,
    "capture_repr": (),
    "abort_on_example_error": False,  # with -W an example that fails fails the build, and the others are seen
    "compress_images": (),
}

warnings.filterwarnings("ignore", category=UserWarning, message=".*non-GUI backend.*")
