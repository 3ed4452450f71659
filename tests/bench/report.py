"""Prints the table of what requests cost; exits with 1 if a ratio is over its bar.

The arguments: a file of lines "ROUND CASE FIGURE", the figures' unit, and the cases as scripts/bench lists them.
"""

import statistics
import sys


def ratio_of(own, other):
    return statistics.median(own[number] / other[number] for number in own)


figures = {}
for line in open(sys.argv[1]):
    number, name, figure = line.split()
    figures.setdefault(name, {})[number] = float(figure)
cases = [case.split() for case in sys.argv[3:]]
compared = {name: baseline for name, baseline, _ in cases}
print(f"{'a request':24}{sys.argv[2]:>10}{'lowest':>10}{'highest':>10}{'ratio':>8}{'bar':>7}  of")
over = False
for name, baseline, bar in cases:
    if name not in figures:
        continue
    own = figures[name]
    row = f"{name:24}{statistics.median(own.values()):10.2f}{min(own.values()):10.2f}{max(own.values()):10.2f}"
    if baseline in figures:
        ratio = ratio_of(own, figures[baseline])
        is_over = sys.argv[2] == "µs" and bar != "-" and ratio > float(bar)
        over |= is_over
        row += f"{ratio:8.3f}{bar:>7}  {baseline}{'  OVER' if is_over else ''}"
        if (plain := compared[baseline]) in figures and plain != "bare":
            row += f"  ({ratio_of(own, figures[plain]):.3f} of {plain})"
    print(row)
sys.exit(over)
