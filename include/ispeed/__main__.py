"""`python -m ispeed …`: see `ispeed.command_line`."""

from __future__ import annotations

import sys

from ispeed.command_line import main

if __name__ == "__main__":
    sys.exit(main())
