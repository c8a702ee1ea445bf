"""The script in a process that multiprocessing has started anew, by `spawn` or `forkserver`.

Airlock leaves this file and the script's text beside each other in the run's own directory when a script starts the
first such process, and multiprocessing runs this file there as the module `__mp_main__`. Only the standard library is
at hand, and nothing of Airlock's.
"""

import io as _io
import linecache as _linecache
import os as _os


class _OnlyInTheFirstProcess:
    def __init__(self, name):  # type: ignore[no-untyped-def]
        self.__dict__["_name"] = name

    def _refuse(self, *_args, **_options):  # type: ignore[no-untyped-def]
        raise RuntimeError(
            f"{self.__dict__['_name']} works only in the script's first process. multiprocessing started this one by "
            "spawn or forkserver, and it runs the script anew: put what only the first one does under "
            'if __name__ == "__main__": and pass the values that this one needs as arguments'
        )

    __getattr__ = __setattr__ = __call__ = __iter__ = __bool__ = _refuse


for _name in ("settings", "memory", "llm", "set_result"):
    globals()[_name] = _OnlyInTheFirstProcess(_name)  # type: ignore[no-untyped-call]
with open(_os.path.join(_os.path.dirname(__file__), "script.py"), encoding="utf-8-sig", newline="") as _file:
    _code = _file.read()
_lines = _io.StringIO(_code if _code.endswith("\n") else f"{_code}\n", newline=None).readlines()
_linecache.cache["script.py"] = (len(_code), None, _lines, "script.py")
exec(compile(_code, "script.py", "exec", dont_inherit=True))
