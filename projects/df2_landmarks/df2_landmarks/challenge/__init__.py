"""The challenge of 2019, held again: submissions, their scores and a leaderboard.

* ``board``: a leaderboard of one's own: accept, score and rank submissions. A room of its own.
"""
