import { expect, it } from "vitest";
import type { HoldRouteRequest } from "#proto/egress.ts";
import { createHeldRoutes } from "../../../services/egress/held-routes.ts";
import type { OpenRoute } from "../../../services/egress/route-opener.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const REQUEST: HoldRouteRequest = {
  project: "demo",
  executionId: "0001",
  workerId: "w",
  workerAddress: "unix:worker",
  secretsVersion: "",
};

/** Routes that open when they are told to; `open` has the names of those that are. */
function slowRoutes() {
  const open = new Set<string>();
  const opening: (() => void)[] = [];
  const routes = createHeldRoutes(async () => {
    const name = `route ${opening.length + 1}`;
    await new Promise<void>((resolve) => opening.push(resolve));
    open.add(name);
    const over = new Promise<void>(() => undefined);
    return { network: { username: name }, over, close: () => open.delete(name) } as unknown as OpenRoute;
  }, createFakeClock());
  return { routes, open, opening };
}

it("a call that was given up while its route opened leaves no route", async () => {
  const { routes, open, opening } = slowRoutes();
  const caller = new AbortController();
  const held = routes.hold(REQUEST, caller.signal);
  caller.abort();
  opening[0]?.();
  await expect(held).rejects.toMatchObject({ code: "cancelled" });
  expect([...open]).toEqual([]);
});

it("a second call while the first route opens gets that route, and no second route stays", async () => {
  const { routes, open, opening } = slowRoutes();
  const { signal } = new AbortController();
  const [first, second] = [routes.hold(REQUEST, signal), routes.hold(REQUEST, signal)];
  opening[0]?.();
  expect((await first).network.username).toBe("route 1");
  opening[1]?.();
  expect((await second).network.username).toBe("route 1");
  expect([...open]).toEqual(["route 1"]);
});
