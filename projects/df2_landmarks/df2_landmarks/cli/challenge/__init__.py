"""``df2 challenge``: its subcommands, a module each.

* ``command``: the list of them. ``bundle``: ``bundle`` and ``check``. ``team``: ``team``.
"""

from df2_landmarks.cli.challenge.command import main

__all__ = ["main"]
