"""A challenge held with this project's scorer.

* ``bundle``: as a competition of Codabench: written, and checked.
"""
