import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { certs } from "../../../cli/commands/certs.ts";

let directory: string;
let printed: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-certs-"));
  printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

const tls = () => join(directory, "tls");
const grants = (path = join("tls", "grants.yaml")) => readFile(join(directory, path), "utf8");

describe("./airlock certs", () => {
  it("./airlock certs appends the role of a client to the file of grants, once", async () => {
    await certs([tls(), "--client", "billing", "--role", "developer"]);
    expect(printed).toContain("grants billing the role developer");
    const once = await grants();
    expect(once).toMatch(/^#.*\n- \{cert: billing, role: developer, tenant: default\}\n$/);
    await certs([tls(), "--client", "billing", "--role", "developer"]);
    expect(await grants()).toBe(once);
    await certs([tls(), "--client", "payroll", "--role", "observer", "--tenant", "acme"]);
    expect(await grants()).toBe(`${once}- {cert: payroll, role: observer, tenant: acme}\n`);
    await expect(certs([tls(), "--client", "billing", "--role", "observer"])).rejects.toThrow(
      "grants billing the role developer in the tenant default already",
    );
  });

  it("./airlock certs writes to the file of AIRLOCK_GRANTS_FILE, and under Compose to that of ./airlock init", async () => {
    await mkdir(join(directory, "grants"));
    await writeFile(join(directory, "grants", "grants.yaml"), "- {issuer: airlock, sub: alice, role: admin}");
    await certs([tls(), "--client", "billing", "--role", "developer"]);
    expect(await grants("grants/grants.yaml")).toBe(
      "- {issuer: airlock, sub: alice, role: admin}\n- {cert: billing, role: developer, tenant: default}\n",
    );
    vi.stubEnv("AIRLOCK_GRANTS_FILE", join(directory, "mine.yaml"));
    await certs([tls(), "--client", "billing", "--role", "developer"]);
    expect(await grants("mine.yaml")).toContain("cert: billing");
  });

  it.each(["- {cert: billing}\n", "[{cert: payroll, role: admin}]\n"])(
    "./airlock certs leaves a file of grants as it is to which it cannot append: %j",
    async (text) => {
      const path = join(directory, "mine.yaml");
      await writeFile(path, text);
      vi.stubEnv("AIRLOCK_GRANTS_FILE", path);
      await expect(certs([tls(), "--client", "billing", "--role", "developer"])).rejects.toThrow(
        "mine.yaml:",
      );
      expect(await readFile(path, "utf8")).toBe(text);
    },
  );

  it.each([
    [["--client", "billing", "--role", "root"], "--role must be one of admin, operator, developer, observer"],
    [["--role", "admin"], "name the client with --client NAME"],
    [["--client", "billing", "--tenant", "acme"], "give --role, too"],
    [["--client", "billing", "--role", "admin", "--tenant", "A_B"], "--tenant must be"],
  ])("./airlock certs refuses %j", async (flags, words) => {
    await expect(certs([tls(), ...flags])).rejects.toThrow(words);
  });
});
