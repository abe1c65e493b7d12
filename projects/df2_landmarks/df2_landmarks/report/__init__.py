"""Reports about results: one HTML file that needs nothing else.

* ``content``: what a report says; ``run_files``: what an output folder says about its run.
* ``charts``, ``pictures``: charts and pictures as inline SVG. ``render``: the page.
* ``worst``: the costliest pictures as PNG files.
"""

from df2_landmarks.report.content import Inputs
from df2_landmarks.report.render import write_report
from df2_landmarks.report.worst import images_beside, write_worst_pictures

__all__ = ["Inputs", "images_beside", "write_report", "write_worst_pictures"]
