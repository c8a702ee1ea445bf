import { describe, expect, it } from "vitest";
import { parseAllowedHost } from "#common/projects/network.ts";
import { createLog } from "#common/service/log.ts";
import { createAttemptLog } from "../../../services/egress/proxy/attempt-log.ts";
import { createRoute } from "../../../services/egress/routes/routes.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const TARGET = { host: "api.billing.example", port: 443 };

function setUp() {
  const lines: string[] = [];
  const clock = createFakeClock();
  const attempts = createAttemptLog(
    createLog("test", "info", { write: (line) => void lines.push(line) }),
    clock,
  );
  const allowlist = ["api.billing.example", "*.warehouse.example"].flatMap(
    (text) => parseAllowedHost(text) ?? [],
  );
  const openRoute = (executionId: string) =>
    createRoute(
      {
        project: "demo",
        executionId,
        network: { allowlist, allowPrivate: [], maxBytes: 1 },
        placeholders: [],
        filters: new Map(),
      },
      { username: "run", password: "its-password" },
    ).route;
  /** The log lines since the last call. */
  const logged = () => lines.splice(0).map((line) => JSON.parse(line));
  return { attempts, clock, openRoute, logged };
}

describe("the log of an attempt", () => {
  function loggedHost(host: string): unknown {
    const { attempts, openRoute, logged } = setUp();
    attempts.note(openRoute("execution-1"), { host, port: 443 }, "not_listed");
    const [line] = logged();
    expect(line).toMatchObject({
      project: "demo",
      executionId: "execution-1",
      verdict: "not_listed",
      port: 443,
    });
    return line.host;
  }

  it("the log of a connection attempt names addresses, and hosts that the project file names", () => {
    expect(loggedHost("api.billing.example")).toBe("api.billing.example");
    expect(loggedHost("169.254.169.254")).toBe("169.254.169.254");
  });

  it("the log of a connection attempt shows a host that a script made up only in part, because it may hold a secret", () => {
    expect(loggedHost("sk-live-0123456789abcdef.evil.example")).toBe("….evi…4.exa…7");
    expect(loggedHost("s3cr3t-value.warehouse.example")).toBe("*.warehouse.example");
    expect(loggedHost("a.b.c.d.e.f")).toBe("….e.f");
    expect(loggedHost(`${"x".repeat(60_000)}.${"y.".repeat(1_000)}z`)).toBe("….y.z");
    expect(loggedHost(Array(4).fill("x".repeat(16_000)).join("."))).toBe("….xxx…16000.xxx…16000");
    expect(loggedHost("xq7mp.9wl2v.b4kr8.st1uz")).toBe("….b4k…5.st1…5");
    expect(loggedHost("9f86:d081:884c:7d65:9a2f:eaa0:c55a:d015")).toBe("9f86:d081:…");
  });
});

describe("a script that floods the log of attempts", () => {
  it("a script that floods the log of attempts gets twenty lines, and a sum of the others when its route closes", () => {
    const { attempts, openRoute, logged } = setUp();
    const [flooding, other] = [openRoute("execution-1"), openRoute("execution-2")];
    for (let n = 0; n < 500; n++) attempts.note(flooding, TARGET, n % 5 === 0 ? "unreachable" : "not_listed");
    expect(logged()).toHaveLength(20);
    attempts.note(other, TARGET, "allowed");
    expect(logged()).toEqual([expect.objectContaining({ executionId: "execution-2", verdict: "allowed" })]);
    attempts.close(flooding);
    attempts.close(other);
    expect(logged()).toEqual([
      expect.objectContaining({
        level: 40,
        project: "demo",
        executionId: "execution-1",
        verdicts: { not_listed: 384, unreachable: 96 },
      }),
    ]);
  });

  it("a script that floods the log of attempts causes no warning where everything was allowed", () => {
    const { attempts, openRoute, logged } = setUp();
    const route = openRoute("execution-1");
    for (let n = 0; n < 21; n++) attempts.note(route, TARGET, "allowed");
    attempts.close(route);
    expect(logged().map(({ level }) => level)).toEqual(Array(21).fill(30));
  });

  it("scripts without credentials share twenty lines a minute in the log of attempts", async () => {
    const { attempts, clock, logged } = setUp();
    const knock = (times: number) => {
      for (let n = 0; n < times; n++) attempts.note(undefined, undefined, "unauthenticated");
    };
    knock(100);
    expect(logged()).toHaveLength(20);
    await clock.advance(60_000);
    expect(logged()).toEqual([expect.objectContaining({ verdicts: { unauthenticated: 80 } })]);
    knock(25);
    expect(logged()).toHaveLength(20);
    attempts.end();
    expect(logged()).toEqual([expect.objectContaining({ verdicts: { unauthenticated: 5 } })]);
    await clock.advance(60_000);
    expect(logged()).toEqual([]);
  });
});
