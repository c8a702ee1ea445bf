"""Of the machine's programs a run finds those that its project lists, and the interpreter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from airlock_worker.sandbox import programs

from ..harness import M, Worker, worker

_FOUND = """
import os
found = set()
for place in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/games"):
    if os.path.isdir(place): found.update(os.listdir(place))
set_result(sorted(name for name in found if not name.startswith("python")))
"""


async def test_by_default_these_are_the_shell_and_coreutils(shared: Worker) -> None:
    found = set((await shared.run(_FOUND)).value)
    assert {"sh", "ls", "cat", "sleep"} <= found <= {"sh", *programs.SETS["coreutils"]}


async def test_a_list_takes_the_place_of_the_default() -> None:
    async with worker("--programs", "env,sort") as target:
        assert (await target.run(_FOUND)).value == ["env", "sort"]
        code = "import subprocess; subprocess.run(['env', 'sort'], input=b'b\\na\\n')"
        assert (await target.run(code)).stdout == b"a\nb\n"
        assert "No such file" in (
            (await target.run("import subprocess; subprocess.run('true', shell=True)")).error or ""
        )


async def test_without_any_the_interpreter_still_starts_itself() -> None:
    async with worker("--programs", "") as target:
        assert (await target.run(_FOUND)).value == []
        code = (
            "import subprocess, sys; set_result(subprocess.check_output([sys.executable, '-c', 'print(1)']).decode())"
        )
        assert (await target.run(code)).value == "1\n"


async def test_a_program_that_is_not_there_is_named_with_what_to_do() -> None:
    async with worker("--programs", "sh,no-such-program,sor", ready=False) as target:
        status = await target.watch().read()
        while status.state == M.enum("WorkerState")["WORKER_STATE_STARTING"]:
            status = await target.watch().read()
        assert status.state == M.enum("WorkerState")["WORKER_STATE_FAILED"]
        assert status.detail.startswith('programs: "no-such-program" is not on the machine that the worker runs on')
        assert "install it in one of /usr/local/bin, " in status.detail
        assert '"sor" is not' in status.detail and "there is " in status.detail and "sort" in status.detail


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("bin", "lib", "site/bin"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(programs, "DIRECTORIES", (str(tmp_path / "bin"),))
    monkeypatch.setattr(programs, "SETS", {"both": ("one", "two", "three")})
    return tmp_path


def _program(path: Path, text: str = "program", mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def _place(machine: Path, *names: str, shown: Sequence[str] = ()) -> Path:
    site = machine / "site"
    programs.place_all(names, str(site), shown)
    return Path(f"{site}{machine}/bin")


def test_one_file_of_many_names_is_copied_once(machine: Path) -> None:
    real = _program(machine / "bin" / "real")
    for name in ("one", "two"):
        (machine / "bin" / name).symlink_to(real)
    placed = _place(machine, "both")
    assert sorted(os.listdir(placed)) == ["one", "two"]
    assert (placed / "one").stat().st_ino == (placed / "two").stat().st_ino != real.stat().st_ino


def test_a_program_keeps_no_rights_of_its_owner(machine: Path) -> None:
    _program(machine / "bin" / "one", mode=0o6755)
    assert (_place(machine, "one") / "one").stat().st_mode & 0o7777 == 0o755


def test_a_program_beside_its_own_files_stays_there(machine: Path) -> None:
    real = _program(machine / "lib" / "real")
    (machine / "bin" / "one").symlink_to(real)
    assert (_place(machine, "one", shown=[str(machine / "lib")]) / "one").readlink() == real


def test_a_script_needs_its_interpreter_in_the_list(machine: Path) -> None:
    interpreter = _program(machine / "bin" / "two")
    _program(machine / "bin" / "one", f"#!{interpreter} -x\n")
    with pytest.raises(
        programs.ProgramsMissing, match=f'^programs: "one" is a script for {interpreter}: list "two" too.$'
    ):
        _place(machine, "one")
    shutil.rmtree(machine / "site")
    assert sorted(os.listdir(_place(machine, "one", "two"))) == ["one", "two"]
