"""`make month M=2024-10` by its steps alone, without Airflow: `python tests/month_steps.py M=2024-10`."""

from __future__ import annotations

import logging
import sys

from ispeed.database import Database
from ispeed.errors import ShareFault, UserError
from ispeed.months import Month
from ispeed.publication import print_publication
from ispeed.settings import Settings
from pipeline import run_steps

logging.basicConfig(level=logging.ERROR)
settings = Settings.from_environment()
month = Month.parse(dict(argument.split("=") for argument in sys.argv[1:])["M"])
before = Database(settings.database_url).current_revision(month)
try:
    run_steps(settings, month)
except (UserError, ShareFault) as error:
    print(error, file=sys.stderr)
    sys.exit(2)
print_publication(settings, month, before)
