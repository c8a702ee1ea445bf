import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { createLog } from "#common/service/log.ts";
import { principalBy } from "../../../services/authority/grants/grantee.ts";
import { openGrantsFile } from "../../../services/authority/grants/grants-file.ts";
import { parseGrants } from "../../../services/authority/grants/parse-grants.ts";
import type { Grant } from "../../../services/authority/store/grant.ts";

const ISSUER = "https://login.example.com";
const FILE = `
- {cert: billing, role: developer, tenant: default}
- {issuer: "${ISSUER}", claim: groups, equals: data-team, role: observer, tenant: acme}
- {issuer: "${ISSUER}", sub: alice, role: admin, kind: human, tenant: acme}
`;

describe("the file of grants", () => {
  it("the file of grants has the three forms", () => {
    expect(parseGrants("grants.yaml", FILE)).toEqual([
      { to: { cert: "billing" }, role: "developer", kind: "service", tenant: "default" },
      {
        to: { issuer: ISSUER, claim: "groups", equals: "data-team" },
        role: "observer",
        kind: "agent",
        tenant: "acme",
      },
      { to: { issuer: ISSUER, sub: "alice" }, role: "admin", kind: "human", tenant: "acme" },
    ]);
    expect(parseGrants("grants.yaml", "")).toEqual([]);
    expect(parseGrants("grants.yaml", "# none yet\n")).toEqual([]);
  });

  it.each([
    ["{cert: billing, role: admin}", "grants.yaml:1: the file must be a list"],
    ["- {cert: billing}", 'grants.yaml:1: field "role" is missing'],
    ["- {cert: billing, role: root}", 'field "role" must be one of admin, operator, developer, observer'],
    ["- {cert: billing, role: anonymous}", 'field "role" must be one of'],
    ["- {cert: Billing!, role: admin}", 'field "cert" must be a name'],
    ["\n- {cert: a, role: admin, tenant: A_B}", 'grants.yaml:2: field "tenant"'],
    ["- {cert: a, role: admin, kind: robot}", 'field "kind"'],
    ["- {cert: a, role: admin, until: never}", 'field "until" is not a known field'],
    ["- {cert: a, sub: b, role: admin}", "must have cert, or issuer and sub, or issuer, claim and equals"],
    ["- {issuer: a, sub: b, claim: c, equals: d, role: admin}", "must have cert"],
    ["- {issuer: a, claim: c, role: admin}", "must have cert"],
    ["- {sub: b, role: admin}", "must have cert"],
    ["- {role: admin}", "must have cert"],
    ["- {issuer: a, sub: 7, role: admin}", 'field "sub" must be a string'],
    ['- {issuer: a, sub: "", role: admin}', 'field "sub" must not be empty'],
    ["- {cert: a, role: admin", "not valid YAML"],
    ["- {cert: a, role: admin, role: observer}", "a field is given twice"],
    ["- [a]", "the grant must be an object"],
  ])("the file of grants is refused with %s", (text, words) => {
    expect(parseGrants("grants.yaml", text)).toEqual({ problem: expect.stringContaining(words) });
  });
});

describe("the file of grants, while the authority runs", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-grants-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const write = async (text: string) => {
    await writeFile(join(directory, "draft"), text);
    await rename(join(directory, "draft"), join(directory, "grants.yaml"));
  };

  it("the file of grants is read again when it changes, and a mistake in it changes nothing", async () => {
    await write(FILE);
    let changes = 0;
    let fails = true;
    const file = await openGrantsFile(
      join(directory, "grants.yaml"),
      [ISSUER],
      systemClock,
      createLog("authority", "silent"),
      async () => {
        // The database is away at first; the change is told nevertheless.
        if (fails) throw new Error("away");
        changes++;
      },
    );
    try {
      expect(file.grants()).toHaveLength(3);
      await write("- {cert: billing, role: admin}\n");
      await expect.poll(() => file.grants()).toHaveLength(1);
      fails = false;
      await expect.poll(() => changes).toBe(1);
      await write("- {cert: billing, rule: admin}\n");
      await expect.poll(() => file.problem()).toContain('field "rule"');
      expect(file.grants()).toMatchObject([{ role: "admin" }]);
      await rm(join(directory, "grants.yaml"));
      await expect.poll(() => file.problem()).toContain("does not exist");
      expect(file.grants()).toHaveLength(1);
      await write("[]\n");
      await expect.poll(() => file.problem()).toBeUndefined();
      expect(file.grants()).toEqual([]);
      await expect.poll(() => changes).toBe(2);
    } finally {
      await file.close();
    }
  });

  it("the file of grants may name issuers that are not accepted, with a warning at the start and at each change", async () => {
    await write(FILE);
    const lines: string[] = [];
    const log = createLog("authority", "warn", { write: (line) => void lines.push(line) });
    const details = () => lines.map((line) => JSON.parse(line).detail);
    const path = join(directory, "grants.yaml");
    const file = await openGrantsFile(
      path,
      [`${ISSUER}/`, "airlock"],
      systemClock,
      log,
      async () => undefined,
    );
    try {
      const told = `"${ISSUER}"; accepted are "${ISSUER}/", "airlock", letter by letter`;
      expect(details()).toEqual([told]);
      expect(file.grants()).toHaveLength(3);
      await write("- {cert: billing, role: admin}\n- {issuer: airlock, sub: a, role: admin}\n");
      await expect.poll(() => file.grants()).toHaveLength(2);
      await write(FILE);
      await expect.poll(() => file.grants()).toHaveLength(3);
      expect(details()).toEqual([told, told]);
    } finally {
      await file.close();
    }
  });

  it.each(["- {cert: billing}", undefined])(
    "the file of grants is refused at the start with %s",
    async (text) => {
      if (text !== undefined) await write(text);
      const path = join(directory, "grants.yaml");
      const opened = openGrantsFile(
        path,
        [],
        systemClock,
        createLog("authority", "silent"),
        async () => undefined,
      );
      await expect(opened).rejects.toThrow("AIRLOCK_GRANTS_FILE has a mistake");
    },
  );
});

describe("a principal by grants", () => {
  const grants = parseGrants("grants.yaml", FILE) as readonly Grant[];
  const alice = { issuer: ISSUER, sub: "alice", claims: {} };
  const bob = (claims: Record<string, unknown>) => ({ issuer: ISSUER, sub: "bob", claims });

  it("a principal by grants has the role of the grant for its certificate or its subject", () => {
    expect(principalBy(grants, { cert: "billing" }, undefined)).toEqual({
      id: "cert:billing",
      kind: "service",
      role: "developer",
      tenant: "default",
    });
    expect(principalBy(grants, alice, "acme")).toEqual({
      id: `jwt:${ISSUER}#alice`,
      kind: "human",
      role: "admin",
      tenant: "acme",
    });
  });

  it.each([{ groups: "data-team" }, { groups: ["others", "data-team"] }])(
    "a principal by grants has the role of the grant for the claims %j",
    (claims) => {
      expect(principalBy(grants, bob(claims), undefined)).toMatchObject({ role: "observer", tenant: "acme" });
    },
  );

  it.each([
    {},
    { groups: "data-team-2" },
    { groups: ["data"] },
    { groups: { "data-team": true } },
    { role: "admin", roles: ["admin"], groups: null },
  ])("a principal by grants has none with the claims %j", (claims) => {
    expect(() => principalBy(grants, bob(claims), undefined)).toThrow(
      expect.objectContaining({ code: "no_grant", message: expect.stringContaining(`jwt:${ISSUER}#bob`) }),
    );
  });

  it("a principal by grants has none by a certificate's name, a subject or an issuer that is another's", () => {
    for (const proven of [
      { cert: "alice" },
      { issuer: ISSUER, sub: "billing", claims: {} },
      { issuer: `${ISSUER}/`, sub: "alice", claims: { groups: ["data-team"] } },
    ])
      expect(() => principalBy(grants, proven, undefined)).toThrow(
        expect.objectContaining({ code: "no_grant" }),
      );
  });

  it("a principal by grants in several tenants has to name one", () => {
    const more: Grant[] = [
      ...grants,
      { to: { issuer: ISSUER, sub: "alice" }, role: "observer", kind: "human", tenant: "default" },
    ];
    expect(() => principalBy(more, alice, undefined)).toThrow(
      expect.objectContaining({ code: "tenant_required", message: expect.stringContaining("acme, default") }),
    );
    expect(principalBy(more, alice, "default")).toMatchObject({ role: "observer", tenant: "default" });
    expect(() => principalBy(more, alice, "other")).toThrow(expect.objectContaining({ code: "no_grant" }));
  });

  it("a principal by several grants in one tenant has the highest role", () => {
    const to = { issuer: ISSUER, sub: "alice" };
    const several: Grant[] = (["observer", "operator", "developer"] as const).map((role) => ({
      to,
      role,
      kind: "agent",
      tenant: "acme",
    }));
    expect(principalBy(several, alice, undefined)).toMatchObject({ role: "operator", kind: "agent" });
    several.push({ to, role: "operator", kind: "human", tenant: "acme" });
    expect(principalBy(several, alice, undefined)).toMatchObject({ role: "operator", kind: "human" });
  });
});
