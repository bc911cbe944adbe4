"""One small month through the three DAGs, as a program of its own: python observed_month.py 2024-10.

Airflow reads its settings when it is imported; here they come whole from the environment that the test gives.
"""

from __future__ import annotations

import os
import sys
import time

from ispeed.services import airflow_environment

os.environ.update(airflow_environment())

from ispeed.month_run import run_months  # noqa: E402
from ispeed.months import Month  # noqa: E402

failure = run_months([Month.parse(sys.argv[1])], print, time.monotonic())
sys.exit(f"{failure.text}\nis_user_error={failure.is_user_error}" if failure else 0)
