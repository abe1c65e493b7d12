"""A challenge held with this project's scorer.

* ``board``: by a server of one's own: submissions, their scores, a leaderboard.
* ``bundle``: as a competition of Codabench: written, and checked.
"""
