"""`python -m deploy.local`: the command `throughline`."""

from deploy.local.cli import main

main()
