"""Back ends that run tasks, behind one protocol (`base`).

This package must import nothing by itself: the keeper, which lives as long as the tasks do,
imports from it and has to stay small.
"""
