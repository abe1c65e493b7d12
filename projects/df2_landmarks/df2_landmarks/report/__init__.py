"""Reports about results: one HTML file that needs nothing else.

* ``content``: what a report says; ``run_files``: what an output folder says about its run.
* ``charts``, ``pictures``: charts and pictures as inline SVG. ``render``: the page.
"""

from df2_landmarks.report.content import Inputs
from df2_landmarks.report.render import write_report

__all__ = ["Inputs", "write_report"]
