"""`python -m snnrun` is `snnrun`."""

import sys

from snnrun.cli import main

if __name__ == "__main__":
    sys.exit(main())
