"""Seeds that once found something, with what it was. They are run for ever.

What a seed stands for changes when the simulation learns something new, so each finding has a test
of its own beside this.
"""

FIXED = {
    13: "an obsolete attempt to take a manager in held up all others for a minute",
    39: "a leader with its clock set back let updates stand still",
    171: "a manager that lost its power while joining never asked again",
    36: "a manager back from a restart would not listen to a leader that had joined anew",
    15: "the engine ended with a traceback when leadership was lost under a write",
}

# The same with machines that join, and roles that change all the time.
FIXED_AMONG_ROLES = {
    38: "a demotion taken back at once left a manager that nobody listened to",
    46: "the same, with two of them",
}
