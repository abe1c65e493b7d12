"""A challenge as a bundle of Codabench, format 2: written whole, and checked before its upload.

* ``competition``: what a challenge is; ``pages``, ``kit``, ``logo``: what participants see.
* ``program``: the scoring program; ``packing``: its zip, and those of the reference data.
* ``writing``: all of it as one zip.
* ``check``, ``keys``, ``bundle_files``: the server's rules.
"""

from df2_landmarks.challenge.bundle.check import check_bundle
from df2_landmarks.challenge.bundle.competition import DATE_FORMAT, Challenge
from df2_landmarks.challenge.bundle.writing import write_bundle

__all__ = ["DATE_FORMAT", "Challenge", "check_bundle", "write_bundle"]
