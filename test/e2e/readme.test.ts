import { execFile } from "node:child_process";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { END_REASONS, STATUS_BY_END_REASON } from "../../services/common/execution-names.ts";
import { isUsable } from "../../services/common/project-catalogue.ts";
import { parseProjectFile } from "../../services/common/project-file.ts";
import { startAirlock, type TestAirlock } from "../support/airlock.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const README_URL = "http://127.0.0.1:8000";
const README = await readFile(join(ROOT, "README.md"), "utf8");

type Block = { readonly language: string; readonly text: string };

const blocks: Block[] = [...README.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
  ([, language = "", text = ""]) => ({
    language,
    text,
  }),
);

/** Every example with the block that follows it, which shows what it prints. */
const examples = blocks.flatMap((block, index) => {
  const shown = blocks[index + 1];
  const isExample =
    block.language === "sh" || (block.language === "python" && block.text.includes("import "));
  const isShown = shown?.language === "json" || shown?.language === "";
  return isExample && isShown ? [{ ...block, shown: shown.text }] : [];
});

/** What differs from run to run: ids and times. */
const stable = (text: string) =>
  text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replaceAll(/"execution_time_ms":\d+/g, '"execution_time_ms":N')
    .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"TIME"')
    .trim();

let airlock: TestAirlock;

beforeAll(async () => {
  const projects: Record<string, string> = {};
  for (const name of ["demo", "reports"]) {
    const text = await readFile(join(ROOT, "projects", `${name}.yaml`), "utf8");
    projects[name] = text.replace(`name: ${name}\n`, "");
  }
  airlock = await startAirlock({ projects });
  await copyFile(join(ROOT, "projects", "reports.lock"), join(airlock.projectsDirectory, "reports.lock"));
});
afterAll(async () => {
  await airlock.remove();
});

describe("the README", () => {
  it("has the examples that this test looks for", () => {
    expect(examples.map((example) => example.language)).toEqual([
      "sh",
      "sh",
      "sh",
      "sh",
      "sh",
      "sh",
      "sh",
      "python",
    ]);
  });

  it.each(examples)(
    "prints what it shows for\n$text",
    async ({ language, text, shown }) => {
      const [command, args] = language === "sh" ? ["bash", ["-euo", "pipefail", "-c"]] : ["python3", ["-c"]];
      const { stdout } = await promisify(execFile)(
        command,
        [...args, text.replaceAll(README_URL, airlock.url)],
        {
          cwd: ROOT,
          env: { ...process.env, AIRLOCK_URL: airlock.url },
          timeout: 120_000,
        },
      );
      expect(stable(stdout)).toBe(stable(shown));
    },
    130_000,
  );

  it("explains a project file that is one", () => {
    const yaml = blocks.find((block) => block.language === "yaml")?.text ?? "";
    const entry = parseProjectFile("billing.yaml", yaml);
    expect(isUsable(entry) ? entry.name : entry.problem).toBe("billing");
  });

  it("has every end reason with its status, and no other", () => {
    const rows = [...README.matchAll(/^\| `(\w+)` \| (\w+) \| /gm)].map(([, reason, status]) => [
      reason,
      status,
    ]);
    expect(rows).toEqual(END_REASONS.map((reason) => [reason, STATUS_BY_END_REASON[reason]]));
  });
});
