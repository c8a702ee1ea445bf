import { describe, expect, it } from "vitest";
import { END_REASONS, STATUSES } from "#common/execution-names.ts";
import { LOCAL_PRINCIPAL } from "#common/identity/principal.ts";
import { createMockBackends } from "../../../gateway/backends/mock/backends.ts";
import { skillPage } from "../../../gateway/rest/skill-page.ts";
import { getProject } from "../../../gateway/use-cases/projects.ts";

describe("skillPage", () => {
  it("the page for agents names every status, every end reason and every call of the SDK", () => {
    const page = skillPage("http://host:1", []);
    const calls = ["settings.get", "settings.keys", "memory.get", "memory.set", "llm.complete", "set_result"];
    for (const name of [...STATUSES, ...END_REASONS]) expect(page).toContain(`\`${name}\``);
    for (const call of calls) expect(page).toContain(`${call}(`);
  });

  it("the page for agents shows the projects with what a script finds in each", async () => {
    const project = await getProject(createMockBackends(), "mock-project", {
      principal: LOCAL_PRINCIPAL,
      signal: AbortSignal.timeout(1_000),
    });
    const page = skillPage("http://host:1", [
      { ...project, description: "Two\nlines", settingKeys: ["API_KEY", "REGION"], secretNames: ["API_KEY"] },
      { ...project, name: "up", isolationFacts: [{ name: "python", values: ["3.12.1"] }] },
    ]);
    expect(page).toContain("- **up**: A mock project for testing (Python 3.12.1; packages: ");
    expect(page).toContain(
      "- **mock-project**: Two lines (packages: requests, pandas; programs: sh, coreutils; settings: REGION; secrets: API_KEY; timeout up to 300 s, answers to llm.complete within 900 s, result up to 10 MiB, memory of a process up to 512 MiB; no network)",
    );
    expect(page).toContain('"project": "mock-project"');
  });
});
