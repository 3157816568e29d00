"""`python -m d1verify.cli`, the same as `d1verify`."""

from . import main

main()
