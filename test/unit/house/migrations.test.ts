import { globSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMigrations } from "#common/database/migrations.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
// Its dialects have numbers of their own, which existing databases remember.
const NUMBERED_APART = "services/router/store/migrations";

const directories = globSync("{services,gateway,test}/**/*migrations/", { cwd: ROOT })
  .map((path) => path.replace(/\/$/, ""))
  .filter((path) => !path.includes("node_modules"));

describe("migrations", () => {
  it("migrations of the router are found, and are the only ones whose dialects are numbered apart", () => {
    expect(directories).toContain(NUMBERED_APART);
    const apart = directories.filter(
      (path) => JSON.stringify(namesOf(path, "sqlite")) !== JSON.stringify(namesOf(path, "postgres")),
    );
    expect(apart).toEqual([NUMBERED_APART]);
  });

  it.each(directories)("migrations in %s exist for both dialects", (path) => {
    for (const dialect of ["sqlite", "postgres"] as const)
      expect(namesOf(path, dialect).length).toBeGreaterThan(0);
  });
});

function namesOf(path: string, dialect: "sqlite" | "postgres"): string[] {
  return readMigrations(join(ROOT, path), dialect).map(({ name }) => name);
}
