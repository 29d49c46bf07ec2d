"""What a build cost, from ninja's log: the slowest steps, and whether one is over the budget of a step.

Times mean something after a clean build without ccache on an idle machine (CCACHE_DISABLE=1), so exceeding the budget
fails only with --enforce.

usage: build_budget.py [--enforce] [BUILD_FOLDER...]      (default: build/release and build/dev, where they exist)
"""
import pathlib
import sys

STEP_S_MAX = 60  # one compilation or link: what a change of one file may cost, twice over
TOTAL_S_MAX = 720  # all steps one after the other; 6 minutes on two cores
SHOWN = 10


def read_log(path):
    """{output: seconds}; a later line of the same output replaces an earlier one."""
    steps = {}
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            steps[fields[3]] = (int(fields[1]) - int(fields[0])) / 1000
    return steps


def report(folder):
    steps = read_log(folder / ".ninja_log")
    total = sum(steps.values())
    print(f"{folder}: {len(steps)} steps, {total:.0f} s of work (budget {TOTAL_S_MAX} s)")
    slowest = sorted(steps.items(), key=lambda step: -step[1])[:SHOWN]
    for output, seconds in slowest:
        print(f"  {seconds:6.1f} s  {output}")
    return total > TOTAL_S_MAX or any(seconds > STEP_S_MAX for _, seconds in slowest)


def main():
    arguments = sys.argv[1:]
    enforce = "--enforce" in arguments
    folders = [pathlib.Path(a) for a in arguments if a != "--enforce"]
    folders = folders or [f for f in map(pathlib.Path, ("build/release", "build/dev")) if (f / ".ninja_log").is_file()]
    over = [folder for folder in folders if report(folder)]
    for folder in over:
        print(f"{folder}: over the budget")
    return 1 if enforce and over else 0


if __name__ == "__main__":
    sys.exit(main())
