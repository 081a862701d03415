"""The largest expressions that are accepted must not overflow the stack of a small thread: it would end the process."""

import subprocess
import sys

PROGRAM = """
import threading
from tests.definition.kinds import noop, state_of
from vai.definition import Expression
from vai.definition.scan import MAX_NESTING, MAX_OPERATORS
from vai.definition.scope import Scope

n, o = MAX_NESTING, MAX_OPERATORS
sources = [
    "input" + ".a" * o,
    "1" + "+1" * o,
    "true" + "||true" * o,
    "!" * o + "true",
    "input.l[-1]" + "[0]" * (o - 4),
    "(" * n + "1" + "+1" * (o - n) + ")" * n,
    "[" * n + "1" + "+1" * (o - n) + "]" * n,
    "size(" * (n - 1) + "[1]" + "+[1]" * ((o - n) // 2 - 1) + ")" * (n - 1),
]
deep = 1
for _ in range(190):
    deep = [deep]
state = state_of({"steps": [noop("a")]}, input={"a": 1, "l": deep})

def evaluate():
    for source in [*sources, "size(input.l)", "input.l == input.l"]:
        expression = Expression(source)
        try:
            expression.evaluate(Scope(state))
        except Exception as error:
            assert type(error).__name__ == "ExpressionFailed", error
    print("done")

threading.stack_size(512 * 1024)
thread = threading.Thread(target=evaluate)
thread.start()
thread.join()
"""


def test_the_largest_expressions_fit_a_small_stack():
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout) == (0, "done\n"), answer.stderr
