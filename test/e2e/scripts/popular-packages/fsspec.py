# packages: fsspec
# result: ["Hello",["/a/b"],["abfs","adl"]]
import fsspec
with fsspec.open("data.txt.gz", "wt", compression="gzip") as file: file.write("Hello")
with fsspec.open("data.txt.gz", "rt", compression="gzip") as file: text = file.read()
memory = fsspec.filesystem("memory")
memory.pipe("/a/b", b"x")
set_result([text, memory.ls("/a", detail=False), sorted(fsspec.available_protocols())[:2]])
