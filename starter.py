"""Submit jobs and look at them: ``python starter.py --help``. The commands live in ``cli/``."""

from exits import require_libraries, run_to_exit

if __name__ == "__main__":
    require_libraries()

from cli.app import app


def main() -> None:
    """Run the command line and leave with its exit code."""
    run_to_exit(app)


if __name__ == "__main__":
    main()
