"""A process of its own for reading files: a crafted file can end it or use up what it is given, and no more than that.

Neither DuckDB nor openpyxl promises to survive every file. The process takes calls of module-level functions one after
another, pickled over its standard streams, so that many files cost one start.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import duckdb

from ispeed.errors import UserError
from ispeed.settings import Settings

_Result = TypeVar("_Result")


class ReadingProcess:
    """The process, and the bounds that each of its calls has. Made by `reading_process`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ispeed.child", str(settings.read_memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
        )

    def call(self, source_file: str, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """What `function` answers. Raises what it raised, and `UserError` naming the file where a bound was met."""
        assert self._process.stdin is not None and self._process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._settings.read_seconds, end)
        timer.start()
        try:
            pickle.dump((function, arguments), self._process.stdin)
            self._process.stdin.flush()
            answer, error = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as broken:
            raise self._told_end(source_file, late.is_set()) from broken
        finally:
            timer.cancel()
        if isinstance(error, MemoryError):
            raise self._told_memory(source_file) from error
        if error is not None:
            raise error
        result: _Result = answer
        return result

    @property
    def is_alive(self) -> bool:
        """Whether it can take another call: what ended it told so in the call before."""
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _told_memory(self, source_file: str) -> UserError:
        return UserError(
            f"file {source_file}",
            "more memory needed to read it than allowed",
            f"at most {self._settings.read_memory_bytes:,} bytes, the setting ISPEED_READ_MEMORY_BYTES",
            "split the export, or raise the setting",
        )

    def _told_end(self, source_file: str, is_late: bool) -> UserError:
        if is_late:
            return UserError(
                f"file {source_file}",
                "still being read when its time was over",
                f"at most {self._settings.read_seconds:,.0f} seconds, the setting ISPEED_READ_SECONDS",
                "split the export, or raise the setting",
            )
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return UserError(
            f"file {source_file}",
            f"the process that read it ended by {how}",
            "a file that can be read within the setting ISPEED_READ_MEMORY_BYTES",
            "export the file again; if it is large and sound, split it or raise the setting",
        )


@contextmanager
def reading_process(settings: Settings) -> Iterator[ReadingProcess]:
    """A process for the files of one step; it ends with the block, also in the middle of a call."""
    process = ReadingProcess(settings)
    try:
        yield process
    finally:
        process.close()


def _serve(calls: IO[bytes], answers: IO[bytes]) -> None:
    while True:
        try:
            function, arguments = pickle.load(calls)
        except EOFError:
            return
        answer, error = None, None
        try:
            answer = function(*arguments)
        except Exception as raised:
            error = MemoryError() if _is_out_of_memory(raised) else raised
            raised.add_note(traceback.format_exc())
        pickle.dump((answer, error), answers)
        answers.flush()


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Also where a reader took it for damage of the file."""
    while error is not None:
        if isinstance(error, (MemoryError, duckdb.OutOfMemoryException)) or "bad_alloc" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _main() -> None:
    bytes_max = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_max, bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
