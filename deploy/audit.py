"""Judge ``pip-audit``'s JSON on standard input: 0 only if every package was looked up and is clean.

``pip-audit`` itself ends 0 and says "No known vulnerabilities" also when its service could not be
reached and it skipped every package.
"""

import json
import sys


def main() -> int:
    """Print what is wrong and return the exit code."""
    packages = json.load(sys.stdin)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    sys.stdout.writelines(f"{line}\n" for line in found)
    if skipped:
        sys.stdout.write(f"{len(skipped)} of {len(packages)} packages could not be looked up\n")
    if found or skipped or not packages:
        return 1
    sys.stdout.write(f"{len(packages)} packages, no known vulnerability\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
