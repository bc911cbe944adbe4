"""What makes figures of an export: the SQL, the suites and the code, as one fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ispeed.settings import INCLUDE


def rules_fingerprint() -> str:
    """sha256 of every SQL file, suite, module and page template as they are now; another may mean another result."""
    return sha256_of(
        {
            str(path.relative_to(INCLUDE)): hashlib.sha256(path.read_bytes()).hexdigest()
            for pattern in ("sql/**/*.sql", "expectations/*.json", "ispeed/**/*.py", "pages/share/*")
            for path in sorted(INCLUDE.glob(pattern))
        }
    )


def sha256_of(value: Any) -> str:
    """sha256 of a value's JSON, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
