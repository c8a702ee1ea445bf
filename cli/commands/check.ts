import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PYTHON, ROOT, runQuietly, type ToolResult } from "../tools.ts";
import { GENERATED, generateInto } from "./generate.ts";

type Check = { readonly name: string; run(): Promise<ToolResult> };

const WORKER = { cwd: join(ROOT, "worker") };
// The Python rules of the worker also apply to the examples, the benchmark and the schemathesis tests.
const RUFF = ["--config", "pyproject.toml", ".", "../examples", "../bench", "../test/schemathesis"];
const tool = (name: string, ...command: string[]): Check => ({ name, run: () => runQuietly(command) });
const python = (name: string, ...args: string[]): Check => ({
  name,
  run: () => runQuietly([PYTHON, "-m", ...args], WORKER),
});

const CHECKS: readonly Check[] = [
  tool("types (tsc)", "tsc", "--noEmit"),
  tool("lint and format (biome)", "biome", "check", "--error-on-warnings"),
  tool("protos (buf lint)", "buf", "lint"),
  tool("protos stay compatible (buf breaking)", "buf", "breaking", "--against", "proto/baseline.binpb"),
  { name: "generated code is fresh", run: compareGenerated },
  python("Python lint (ruff)", "ruff", "check", ...RUFF),
  python("Python format (ruff)", "ruff", "format", "--check", ...RUFF),
  python("Python types (mypy --strict)", "mypy", "--strict"),
  python("types of the example (mypy --strict)", "mypy", "--strict", "../examples/python/call_airlock.py"),
  python(
    "types of the benchmark (mypy --strict)",
    "mypy",
    "--strict",
    "../bench/floor.py",
    "../bench/profile/worker.py",
  ),
];

/** `./airlock check` prints a line per check, and the output of a tool only when it fails. */
export async function check(): Promise<number> {
  let failed = 0;
  for (const { name, run } of CHECKS) {
    const { ok, output } = await run();
    process.stdout.write(`${ok ? "✓" : "✗"} ${name}\n`);
    if (ok) continue;
    failed++;
    process.stdout.write(`${output.trimEnd().replaceAll(/^/gm, "    ")}\n`);
  }
  if (failed > 0) process.stdout.write(`${failed} of ${CHECKS.length} checks failed\n`);
  return failed > 0 ? 1 : 0;
}

async function compareGenerated(): Promise<ToolResult> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-generated-"));
  try {
    await mkdir(join(directory, "proto"));
    const generated = await generateInto(directory);
    if (!generated.ok) return generated;
    for (const path of GENERATED) {
      const { ok, output } = await runQuietly(["diff", "-r", "-q", path, join(directory, path)]);
      if (!ok) return { ok, output: `${output}Run ./airlock generate and commit what it writes.\n` };
    }
    return { ok: true, output: "" };
  } finally {
    await rm(directory, { recursive: true });
  }
}
