"""Chromium as the tests of pages start it, and what they lack to do so."""

from __future__ import annotations

import importlib.util
import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")


def missing(*packages: str) -> list[str]:
    """What is not here of the browser, the packages that drive it, and `packages` that a test needs besides."""
    needed = {"playwright": "playwright", "axe-playwright-python": "axe_playwright_python", **{p: p for p in packages}}
    there = {f"the package {name}": importlib.util.find_spec(module) for name, module in needed.items()}
    of_browser = [] if CHROMIUM else ["the browser Chromium (Debian's package chromium)"]
    return [*of_browser, *(name for name, found in there.items() if not found)]
