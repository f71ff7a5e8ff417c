"""What a person can mend: one line that says what to do, and the exit code.

Every command raises `CliError` where it knows what went wrong; `__main__` prints it. This module imports nothing of
Argosy or gRPC, so that `argosy --help` stays fast.
"""

from dataclasses import dataclass


# Not frozen: contextlib sets __traceback__ on the exceptions that pass through it.
@dataclass(slots=True, eq=False)
class CliError(Exception):
    """A failure told in one line. Exit code 2 is a mistake in the call, 1 everything else."""

    line: str
    exit_code: int = 1

    def __str__(self) -> str:
        return self.line


def misuse(line: str) -> CliError:
    """The command was called wrongly."""
    return CliError(line, exit_code=2)
