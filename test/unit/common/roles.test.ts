import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { has, isAtMost, PERMISSIONS, permissionsOf, ROLES } from "#common/identity/roles.ts";

// The table of the design, written once more by hand: a role that gains or loses a permission must be changed
// in both places.
const TABLE = {
  "public.read": "admin operator developer observer anonymous",
  "execution.submit": "admin operator developer",
  "execution.respond": "admin operator developer",
  "execution.cancel": "admin operator developer",
  "execution.read": "admin operator developer observer",
  "execution.read_all": "admin operator observer",
  "execution.respond_all": "admin operator",
  "execution.cancel_all": "admin operator",
  "project.read": "admin operator developer observer",
  "project.scale": "admin operator",
  "redaction.read": "admin operator observer",
  "dead_letter.read": "admin operator observer",
  "dead_letter.retry": "admin operator",
  "metrics.read": "admin operator observer",
  "key.manage": "admin operator developer",
  "key.manage_all": "admin",
  "grant.manage": "admin",
  "principal.manage": "admin",
} as const;

/** The rows of the table in docs/identity.md, with the white space between their cells removed. */
async function rowsOfPage(): Promise<string[]> {
  const page = await readFile(join(import.meta.dirname, "..", "..", "..", "docs", "identity.md"), "utf8");
  const table = page.slice(page.indexOf("## Roles"), page.indexOf("## Services"));
  return table.split("\n").filter((line) => line.startsWith("| `"));
}

describe("roles", () => {
  it("roles are shown in docs/identity.md as the services check them", async () => {
    const rows = Object.entries(PERMISSIONS).map(([name, rights]) => {
      const mark = "notForAgents" in rights ? " \\*" : "";
      const cells = ROLES.map((role) => ((rights.roles as readonly string[]).includes(role) ? " ✓ |" : " |"));
      return `| \`${name}\`${mark} | ${rights.allows} |${cells.join("")}`;
    });
    expect(await rowsOfPage()).toEqual(rows);
  });

  it("roles have exactly the permissions of the table", () => {
    const found = Object.fromEntries(
      Object.keys(PERMISSIONS).map((permission) => [
        permission,
        ROLES.filter((role) => has({ role, kind: "human" }, permission as keyof typeof PERMISSIONS)).join(
          " ",
        ),
      ]),
    );
    expect(found).toEqual(TABLE);
  });

  it("roles give an agent no rights over what others own, nor over keys, grants and principals", () => {
    const lost = permissionsOf({ role: "admin", kind: "human" }).filter(
      (permission) => !has({ role: "admin", kind: "agent" }, permission),
    );
    expect(lost).toEqual(
      Object.keys(TABLE).filter((name) => /_all$|^(key|grant|principal)\.manage/.test(name)),
    );
  });

  it("a principal has no permission that a role of its makers lacks", () => {
    const observer = { role: "observer", kind: "agent", within: ["developer", "admin"] } as const;
    expect(permissionsOf(observer)).toEqual(["public.read", "execution.read", "project.read"]);
    expect(has({ ...observer, within: ["admin"] }, "dead_letter.read")).toBe(true);
  });

  it("roles are in order, the highest first", () => {
    for (const [n, role] of ROLES.entries()) {
      const stronger = ROLES[n - 1] ?? "admin";
      expect(isAtMost(role, stronger)).toBe(true);
      expect(isAtMost(stronger, role)).toBe(stronger === role);
    }
  });
});
