"""The command line: `swarmd init`, `swarmd service create`, … (docs/design/cli.md).

Modules of commands import only click when they are loaded; whatever talks to a daemon or draws is
imported by the command that runs, so that `--help` and completion answer at once.
"""
