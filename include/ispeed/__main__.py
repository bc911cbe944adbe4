"""`python -m ispeed …`: see `ispeed.commands`."""

from __future__ import annotations

import sys

from ispeed.commands import main

if __name__ == "__main__":
    sys.exit(main())
