import { describe, expect, it } from "vitest";
import { createLog } from "../../../services/common/log.ts";
import { parseAllowedHost } from "../../../services/common/project-network.ts";
import { createAttempts } from "../../../services/egress/attempts.ts";
import { createRoutes } from "../../../services/egress/routes.ts";

function loggedHost(host: string, port = 443): unknown {
  const lines: string[] = [];
  const attempts = createAttempts(createLog("test", "info", { write: (line) => void lines.push(line) }));
  const allowlist = ["api.billing.example", "*.warehouse.example"].flatMap(
    (text) => parseAllowedHost(text) ?? [],
  );
  const { route } = createRoutes().open({
    project: "demo",
    executionId: "execution-1",
    network: { allowlist, allowPrivate: [], maxBytes: 1 },
    placeholders: [],
    needles: undefined,
  });
  attempts.note(route, { host, port }, "not_listed");
  const line = JSON.parse(lines[0] ?? "{}");
  expect(line).toMatchObject({ project: "demo", executionId: "execution-1", verdict: "not_listed", port });
  return line.host;
}

describe("the log of an attempt", () => {
  it("names hosts that the project file names, and addresses", () => {
    expect(loggedHost("api.billing.example")).toBe("api.billing.example");
    expect(loggedHost("169.254.169.254")).toBe("169.254.169.254");
  });

  it("shows a host that a script made up only in part, since it may hold a secret", () => {
    expect(loggedHost("sk-live-0123456789abcdef.evil.example")).toBe("sk-…24.evil.exa…7");
    expect(loggedHost("s3cr3t-value.warehouse.example")).toBe("*.warehouse.example");
    expect(loggedHost("a.b.c.d.e.f")).toBe("c.d.e.f");
  });
});
