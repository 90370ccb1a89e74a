"""Submit jobs and look at them: ``python starter.py --help``. The commands live in ``cli/``."""

from cli.app import app
from exits import run_to_exit


def main() -> None:
    """Run the command line and leave with its exit code."""
    run_to_exit(app)


if __name__ == "__main__":
    main()
