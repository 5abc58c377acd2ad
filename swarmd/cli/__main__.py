"""`python -m swarmd.cli`: what a background daemon is started with, whatever is on the PATH."""

from swarmd.cli.main import main

main()
