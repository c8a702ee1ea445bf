import { execFile } from "node:child_process";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { END_REASONS, STATUS_BY_END_REASON } from "#common/execution-names.ts";
import { isUsable } from "#common/projects/catalogue.ts";
import { parseProjectFile } from "#common/projects/file.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";
import { type Page, ROOT, readPage, rowsOf } from "../../support/pages.ts";

const PAGE_URL = "http://127.0.0.1:8000";

type Block = { readonly language: string; readonly text: string };

function blocksOf({ text: page }: Page): Block[] {
  return [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = "", text = ""]) => ({
    language,
    text,
  }));
}

/** Every example of a page with the block that follows it, which shows what it prints. */
function examplesOf(page: Page) {
  const blocks = blocksOf(page);
  return blocks.flatMap((block, index) => {
    const shown = blocks[index + 1];
    const isExample =
      block.language === "sh" || (block.language === "python" && block.text.includes("import "));
    const isShown = shown?.language === "json" || shown?.language === "";
    return isExample && isShown ? [{ ...block, shown: shown.text }] : [];
  });
}

/** Parts of the output that differ from run to run: ids and times. */
const stable = (text: string) =>
  text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replaceAll(/"execution_time_ms":\d+/g, '"execution_time_ms":N')
    .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"TIME"')
    .trim();

async function shell(text: string, { url }: TestAirlock): Promise<string> {
  const { stdout } = await promisify(execFile)(
    "bash",
    ["-euo", "pipefail", "-c", text.replaceAll(PAGE_URL, url)],
    {
      cwd: ROOT,
      env: { ...process.env, AIRLOCK_URL: url },
      timeout: 120_000,
    },
  );
  return stdout;
}

const README = await readPage("README.md");
const SCRIPTS = await readPage("docs/scripts.md");
const ERP =
  'secrets:\n  ERP_TOKEN: {value: "${env:ERP_TOKEN}", inject: {host: erp.example.com, header: Authorization, format: "Bearer {}"}}\n';

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

describe.each([
  { page: README, languages: ["sh", "sh", "sh", "python"] },
  { page: await readPage("docs/rest.md"), languages: ["sh", "sh", "sh", "sh", "sh"] },
  { page: SCRIPTS, languages: ["sh"] },
])("$page.path", ({ page, languages }) => {
  const examples = examplesOf(page);

  it(`${page.path} has the examples that this test looks for`, () => {
    expect(examples.map((example) => example.language)).toEqual(languages);
  });

  it.each(examples)(
    `${page.path} shows the output of its example:\n$text`,
    async ({ language, text, shown }) => {
      const python = (code: string) =>
        promisify(execFile)("python3", ["-c", code.replaceAll(PAGE_URL, airlock.url)]);
      const stdout = language === "sh" ? await shell(text, airlock) : (await python(text)).stdout;
      expect(stable(stdout)).toBe(stable(shown));
    },
    130_000,
  );
});

describe("README.md", () => {
  it("README.md has every end reason with its status, and no other", () => {
    const rows = rowsOf(README).filter(([reason, status]) => reason?.startsWith("`") && status);
    expect(rows.map(([reason, status]) => [reason?.replaceAll("`", ""), status])).toEqual(
      END_REASONS.map((reason) => [reason, STATUS_BY_END_REASON[reason]]),
    );
  });
});

describe("docs/projects.md", () => {
  it("docs/projects.md explains a project file that is valid", async () => {
    const yaml = blocksOf(await readPage("docs/projects.md")).find((block) => block.language === "yaml");
    const entry = parseProjectFile("billing.yaml", yaml?.text ?? "");
    expect(isUsable(entry) ? entry.name : entry.problem).toBe("billing");
  });
});

describe("the Python that pages show as parts of scripts", () => {
  const pythonOf = async (path: string) =>
    blocksOf(await readPage(path))
      .filter(({ language }) => language === "python")
      .map(({ text }) => text);

  it("the script of docs/scripts.md runs as the page shows it, llm request included", async () => {
    const rest = restClient(airlock.url);
    const [sdk] = await pythonOf(SCRIPTS.path);
    const started = await rest.submit({
      project: "demo",
      code: `rows = [1.0]\n${sdk}`,
      memory: { customers: { last: 41 } },
      settings: { REGION: "eu-north" },
    });
    const paused = await rest.settled(started);
    expect(paused.llm_request).toMatchObject({ prompt: "Summarise: …", model: "default" });
    await rest.respond(started, "done");
    const ended = await rest.settled(started);
    expect(ended).toMatchObject({
      end_reason: "completed",
      error: null,
      memory_updates: { customers: { last: null } },
    });
  });

  it("the script of docs/network.md runs as the page shows it", async () => {
    const [request] = await pythonOf("docs/network.md");
    const code = `${request}set_result(request.get_header("Authorization")[:7])`;
    const erp = await startAirlock({
      projects: { erp: ERP },
      env: { ERP_TOKEN: "erp-token-of-the-documentation" },
    });
    try {
      const ended = await restClient(erp.url).run({ project: "erp", code });
      expect(ended).toMatchObject({ end_reason: "completed", result: "airlock" });
    } finally {
      await erp.remove();
    }
  });

  it("the script of docs/results.md runs as the page shows it", async () => {
    const [missing] = await pythonOf("docs/results.md");
    const ended = await restClient(airlock.url).run({
      project: "reports",
      code: `import pandas as pd\ndf = pd.DataFrame({"a": [1.5, float("nan")]})\n${missing}`,
    });
    expect(ended).toMatchObject({ end_reason: "completed", result: [{ a: 1.5 }, { a: null }] });
  }, 130_000);
});

describe("docs/cli.md", () => {
  it("docs/cli.md says how to call another Airlock", async () => {
    const command = blocksOf(await readPage("docs/cli.md"))
      .flatMap(({ text }) => text.split("\n"))
      .find((line) => line.startsWith("AIRLOCK_URL="));
    const stdout = await shell((command ?? "").replace("http://127.0.0.1:8111", airlock.url), airlock);
    expect(stdout).toMatch(/demo.*reports/s);
  });
});

describe("docs/mock.md", () => {
  it("docs/mock.md has an example that asks, runs and ends as the page says", async () => {
    const mock = await startAirlock({ mock: true, projects: {} });
    try {
      const example = blocksOf(await readPage("docs/mock.md")).find(({ language }) => language === "sh");
      const call = (example?.text ?? "").replace(/^\.\/airlock up --mock &\n/, "");
      const rest = restClient(mock.url);
      const { execution_id: id } = JSON.parse(await shell(call, mock)) as { execution_id: string };
      expect((await rest.settled(id)).llm_request?.prompt).toBe("Which month?");
      await rest.respond(id, "March");
      expect((await rest.settled(id)).end_reason).toBe("timeout");
    } finally {
      await mock.remove();
    }
  });
});
