"""Libraries that lay out text keep a value whole, because a part of a secret is not found where output is cleaned."""

from __future__ import annotations

import pytest

from ..harness import worker

VALUE = "sk_" + "".join(chr(97 + at * 7 % 26) for at in range(105))
TABLE = f"""
import pandas
frame = pandas.DataFrame({{"name": ["TOKEN"] * 100, "value": [{VALUE!r}] * 100}}, index=range(100))
print(frame); print(frame["value"]); print(pandas.Series({{"TOKEN": {VALUE!r}}}))
print(pandas.DataFrame([range(10**6, 10**6 + 40)] * 3))
print(*(pandas.get_option(f"display.{{name}}") for name in ("max_rows", "max_columns", "width")))
"""


@pytest.mark.parametrize("arguments", [("--import", "pandas"), ()], ids=["imported beforehand", "by the script"])
async def test_a_printed_table_cuts_no_cell_and_keeps_its_shape(arguments: tuple[str, ...]) -> None:
    async with worker(*arguments) as target:
        printed = (await target.run(TABLE)).stdout.decode()
    # Five rows of each end of the frame and of its column, and the one of the Series.
    assert printed.count(VALUE) == 21 and printed.count(VALUE[:20]) == 21
    assert "[100 rows x 2 columns]" in printed and "Length: 100, dtype" in printed
    # What is wider than the page loses columns in the middle, as on every terminal.
    assert " ... " in printed and printed.endswith("[3 rows x 40 columns]\n60 0 80\n")
    assert max(map(len, printed.splitlines())) <= 200


async def test_text_is_laid_out_for_a_wide_page_and_without_colours() -> None:
    code = f"""
import argparse, os, shutil
parser = argparse.ArgumentParser(prog="p", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
parser.add_argument("--token", default="{VALUE}", help="the token that is sent with every request")
parser.print_help()
print(shutil.get_terminal_size().columns, os.environ["NO_COLOR"])
"""
    async with worker() as target:
        printed = (await target.run(code)).stdout.decode()
    assert VALUE in printed
    assert printed.endswith("200 1\n")


async def test_the_command_line_is_the_scripts_own() -> None:
    code = "import os, sys; set_result([sys.argv, sys.orig_argv[1:], os.path.isfile(sys.orig_argv[0])])"
    async with worker() as target:
        assert (await target.run(code)).value == [["script.py"], ["script.py"], True]


async def test_a_byte_order_mark_is_no_part_of_the_script() -> None:
    async with worker() as target:
        ended = await target.run("\ufeffx = 1; y = 0; x / y\n")
    assert ended.end == "script_error"
    assert "line 1, in <module>\n    x = 1; y = 0; x / y\n                  ~~^~~\nZeroDivisionError" in (
        ended.error or ""
    )
