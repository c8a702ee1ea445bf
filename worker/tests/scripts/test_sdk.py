"""What a script finds: settings, memory, llm, set_result, and a Python of its own around them."""

from __future__ import annotations

import json

import pytest

from ..harness import MIB, Worker


async def test_settings_take_secrets_before_the_request_before_the_project(shared: Worker) -> None:
    code = "set_result([settings.get(k) for k in ('API_KEY', 'SHARED', 'LEVEL', 'REGION', 'none')] + [settings.keys()])"
    ended = await shared.run(code, settings={"SHARED": "from request", "LEVEL": "request"})
    assert ended.value == [
        *("s3cret-value", "from secrets", "request", "eu-north", None),
        ["API_KEY", "LEVEL", "REGION", "SHARED"],
    ]


async def test_settings_are_read_like_a_dict(shared: Worker) -> None:
    code = """
set_result([settings["REGION"], settings.get("none", "default"), settings.get("REGION", "default"),
            "REGION" in settings, "none" in settings, dict(settings)["LEVEL"], list(settings), len(settings)])
settings["none"]
"""
    ended = await shared.run(code)
    wanted = "KeyError: 'none is not a setting of this run; settings.keys() lists the settings'"
    assert ended.error is not None and wanted in ended.error
    ended = await shared.run(code.replace('settings["none"]', ""))
    names = ["API_KEY", "LEVEL", "REGION", "SHARED"]
    assert ended.value == ["eu-north", "default", "eu-north", True, False, "project", names, 4]


async def test_memory_can_be_listed_and_deleted(shared: Worker) -> None:
    code = """
memory.set("new", "k", 1)
memory.delete("old", "gone")
memory.set("old", "text", "null")
set_result([memory.keys(), memory.keys("old"), memory.keys("none"), memory.get("old", "gone", "default"),
            memory.get("old", "kept", "default"), memory.get("none", "none", 7)])
"""
    ended = await shared.run(
        code, memory='{"old": {"gone": 5, "kept": 6, "null": null}, "empty": {}, "nulls": {"a": null}}'
    )
    assert ended.value == [["new", "old"], ["kept", "text"], [], "default", 6, 7]
    assert ended.memory_updates == '{"new":{"k":1},"old":{"gone":null,"text":"null"}}'


async def test_a_script_sees_only_what_is_meant_for_it(shared: Worker) -> None:
    code = "set_result([[n for n in dir(x) if not n.startswith('_')] for x in (settings, memory, llm)])"
    assert (await shared.run(code)).value == [
        ["describe", "get", "keys"],
        ["delete", "get", "keys", "set"],
        ["complete"],
    ]


async def test_nan_is_written_as_null_when_the_script_says_so(shared: Worker) -> None:
    code = "nan = float('nan'); memory.set('a', 'b', [nan], nan=None); set_result({'x': nan}, nan=None)"
    ended = await shared.run(code)
    assert (ended.result, ended.memory_updates) == ('{"x":null}', '{"a":{"b":[null]}}')


async def test_secrets_stand_in_the_environment_and_settings_do_not(shared: Worker) -> None:
    ended = await shared.run("import os; set_result(sorted(os.environ.items()))", settings={"LEVEL": "x"})
    found = dict(ended.value)
    assert found["API_KEY"] == "s3cret-value"
    assert found["TZ"] == "UTC" and found["PYTHONHASHSEED"] == "0" and found["LC_ALL"] == "C.UTF-8"
    assert not {"LEVEL", "REGION", "PYTHONPATH"} & set(found)


async def test_printing_settings_shows_no_value(shared: Worker) -> None:
    ended = await shared.run("print(settings, vars if 0 else '')")
    assert b"API_KEY" in ended.stdout
    assert b"s3cret-value" not in ended.stdout


async def test_memory_is_read_digit_for_digit(shared: Worker) -> None:
    memory = '{"n": {"i": 9007199254740993, "f": 1.0, "long": 1' + "0" * 5000 + "}}"
    code = "set_result([memory.get('n', 'i'), memory.get('n', 'f'), memory.get('n', 'long') == 10**5000])"
    assert (await shared.run(code, memory=memory)).result == "[9007199254740993,1.0,true]"


async def test_memory_that_is_not_there_is_none(shared: Worker) -> None:
    ended = await shared.run("set_result([memory.get('a', 'b'), memory.get('n', 'x')])", memory='{"n": {}}')
    assert ended.result == "[null,null]"
    assert ended.memory_updates is None


async def test_memory_writes_are_visible_at_once_and_leave_at_the_end(shared: Worker) -> None:
    code = """
memory.set("a", "k", {"n": 1.0})
memory.set("a", "k", (1, 2))
memory.set("b é", 'q"', 2**64)
set_result(memory.get("a", "k"))
"""
    ended = await shared.run(code, memory='{"a": {"k": 0, "kept": 1}}')
    assert ended.result == "[1,2]"
    assert ended.memory_updates == '{"a":{"k":[1,2]},"b é":{"q\\"":18446744073709551616}}'


@pytest.mark.parametrize("ending", ["1/0", "raise SystemExit(3)", "set_result(object())", "import os; os._exit(0)"])
async def test_memory_writes_are_dropped_unless_completed(shared: Worker, ending: str) -> None:
    ended = await shared.run(f"memory.set('a', 'k', 1)\nset_result(5)\n{ending}")
    assert ended.end != "completed"
    assert ended.memory_updates is None
    assert ended.result is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("memory.set(1, 'k', 2)", "TypeError: memory.set: category must be a str, not int"),
        ("memory.set('c', 'k', {1, b'x'})", "memory['c']['k']"),
        ("memory.set('c', 'k', 'x' * 11_000_000)", "the limit is 10485760"),
        ("set_result(1, nan=0)", "TypeError: set_result: nan can only be None, which writes each NaN as null"),
        ("llm.complete(3)", "TypeError: llm.complete: prompt must be a str, not int"),
        ("llm.complete('x', model=None)", "TypeError: llm.complete: model must be a str, not NoneType"),
        ("llm.complete('x' * 1048577)", "prompt is 1048577 bytes long; the limit is 1048576"),
    ],
)
async def test_a_wrong_call_raises_and_says_what_is_wrong(shared: Worker, call: str, words: str) -> None:
    ended = await shared.run(call)
    assert ended.end == "script_error"
    assert ended.error is not None and words in ended.error


async def test_the_last_result_wins_and_is_a_snapshot(shared: Worker) -> None:
    ended = await shared.run("d = [1]\nset_result('first')\nset_result(d)\nd.append(2)")
    assert ended.result == "[1]"


async def test_numbers_keep_their_digits(shared: Worker) -> None:
    ended = await shared.run("set_result({'big': 2**63+1, 'float': 1.0, 'tiny': 5e-324, 'neg': -0.0})")
    assert ended.result == '{"big":9223372036854775809,"float":1.0,"tiny":5e-324,"neg":-0.0}'


async def test_a_result_of_many_megabytes_arrives_in_pieces(shared: Worker) -> None:
    ended = await shared.run("set_result(['é' * 1000] * 4000)")
    assert ended.value == ["é" * 1000] * 4000
    sizes = [len(event.document.data) for event in ended.events if event.WhichOneof("event") == "document"]
    assert len(sizes) > 5 and max(sizes) <= MIB


async def test_nothing_set_is_no_result(shared: Worker) -> None:
    ended = await shared.run("pass")
    assert (ended.end, ended.result, ended.error) == ("completed", None, None)


async def test_the_script_is_a_real_main_module(shared: Worker) -> None:
    code = """
import dataclasses, pickle, sys, typing
@dataclasses.dataclass
class P:
    x: "int"
    y: "P | None" = None
set_result([__name__, sys.argv, pickle.loads(pickle.dumps(P(1))) == P(1), typing.get_type_hints(P)["x"] is int,
            sys.modules["__main__"].P is P])
"""
    assert (await shared.run(code)).value == ["__main__", ["script.py"], True, True, True]


async def test_a_script_can_import_a_file_that_it_wrote(shared: Worker) -> None:
    ended = await shared.run("open('mine.py', 'w').write('x = 7')\nimport mine\nset_result(mine.x)")
    assert ended.value == 7


async def test_threads_are_joined_and_exit_handlers_run(shared: Worker) -> None:
    code = """
import atexit, threading, time
atexit.register(print, "handler")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"), set_result("late"))).start()
print("main")
"""
    ended = await shared.run(code)
    assert ended.stdout == b"main\nthread\nhandler\n"
    assert json.loads(ended.result or "") == "late"


async def test_any_character_can_be_printed(shared: Worker) -> None:
    ended = await shared.run(
        "import sys; print('é \\ud800'); print('e', file=sys.stderr); sys.stdout.buffer.write(b'\\xff')"
    )
    assert ended.stdout == "é \\ud800\n".encode() + b"\xff"
    assert ended.stderr == b"e\n"
    assert ended.end == "completed"


async def test_standard_input_is_empty(shared: Worker) -> None:
    assert (await shared.run("import sys; set_result(sys.stdin.read())")).value == ""
