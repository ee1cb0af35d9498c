"""`python -m backout`."""

from backout.cli import main

main()
