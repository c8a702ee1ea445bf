import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../../cli/commands.ts";
import { helpText } from "../../../cli/help.ts";

describe("help", () => {
  it("./airlock help names every command, and fits a wide terminal", () => {
    const overview = helpText();
    for (const name of [...COMMANDS.map((command) => command.name), "version"])
      expect(overview).toContain(`\n  ${name} `);
    for (const page of [overview, ...COMMANDS.map(({ name }) => helpText(name))]) {
      for (const line of page.split("\n")) expect(line.length).toBeLessThanOrEqual(110);
    }
  });

  it("./airlock help has a page for each command, and each page loads", async () => {
    for (const command of COMMANDS) {
      expect(helpText(command.name)).toContain(`./airlock ${command.usage.split("\n")[0]}`);
      expect(await command.load([])).toBeInstanceOf(Function);
    }
    expect(await COMMANDS.find(({ name }) => name === "up")?.load(["demo"])).toHaveProperty(
      "name",
      "upProject",
    );
  });
});
