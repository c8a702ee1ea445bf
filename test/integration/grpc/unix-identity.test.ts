import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RULES } from "#common/identity/authorization.ts";
import {
  type Account,
  accountMissing,
  asAccount,
  NOBODY_ACCOUNT,
  ORDINARY_ACCOUNT,
  OTHER_ACCOUNT,
  ROOT_ACCOUNT,
} from "../../harness/account.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";
import { RPCS } from "../../harness/rpcs.ts";
import { listenersOf } from "../../support/listeners.ts";

/** The service that answers an RPC; the router stands for RPCs that every service has. */
const ownerOfRpc = (path: string) => (RULES[path]?.service === "every" ? "router" : RULES[path]?.service);

// On Unix sockets the user is the identity; the kernel refuses other users on each edge.
const CALLER = join(import.meta.dirname, "..", "..", "harness", "call-rpcs.ts");
const PYTHON =
  process.env.AIRLOCK_PYTHON ?? join(import.meta.dirname, "..", "..", "..", ".venv", "bin", "python");

/** The gRPC status of each RPC for a caller of this account. */
async function callAll(
  account: Account,
  addresses: Record<string, string>,
  directory: string,
): Promise<Record<string, number>> {
  const aside = join(directory, `aside-${account.uid}`);
  await mkdir(aside);
  const words = ["--disable-warning=ExperimentalWarning", CALLER, JSON.stringify(addresses)];
  const { file, args } = asAccount(account, { file: process.execPath, args: words }, PYTHON, aside);
  const { stdout } = await promisify(execFile)(file, args, { cwd: "/", timeout: 60_000 });
  return JSON.parse(stdout);
}

const STRANGERS: readonly (readonly [Account, Account])[] = [
  [ROOT_ACCOUNT, ORDINARY_ACCOUNT],
  [ROOT_ACCOUNT, NOBODY_ACCOUNT],
  [ORDINARY_ACCOUNT, OTHER_ACCOUNT],
  [ORDINARY_ACCOUNT, NOBODY_ACCOUNT],
];

describe.each(STRANGERS)("a service of $name, and a caller", (owner, stranger) => {
  const missing = accountMissing(owner) ?? accountMissing(stranger);
  describe.skipIf(missing)(`that is user ${stranger.uid}${missing ? ` (${missing})` : ""}`, () => {
    let airlock: TestAirlock;
    let directory: string;
    let refused: Record<string, number>;
    let answered: Record<string, number>;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "airlock-unix-"));
      airlock = await startAirlock({ account: owner });
      await restClient(airlock.url).run({ code: "pass" });
      const { sockets } = await listenersOf(airlock.pid);
      // The directories above are closed, too; here it is the sockets' own mode that has to hold.
      const above = new Set(sockets.flatMap((path) => [dirname(path), dirname(dirname(path))]));
      // The directory of all programs stays as it is.
      above.delete(tmpdir());
      for (const each of above) await chmod(each, 0o755);
      await chmod(airlock.directory, 0o755);
      const socketOf = (service = "") => sockets.find((path) => basename(path) === `${service}.sock`);
      const addresses = Object.fromEntries(
        RPCS.map(({ path }) => [path, `unix:${socketOf(ownerOfRpc(path))}`]),
      );
      refused = await callAll(stranger, addresses, directory);
      answered = await callAll(owner, addresses, directory);
    }, 60_000);
    afterAll(async () => {
      await airlock?.remove();
      await rm(directory, { recursive: true });
    });

    it("every Unix socket of a deployment is open to its own user only", async () => {
      const { sockets } = await listenersOf(airlock.pid);
      for (const path of sockets) expect([path, (await stat(path)).mode & 0o777]).toEqual([path, 0o600]);
    });

    it.each(RPCS)(
      "the RPC $path is out of another user's reach on a Unix socket, and in reach of its own user",
      ({ path }) => {
        expect(refused[path]).toBe(status.UNAVAILABLE);
        expect(answered[path]).toBeDefined();
        expect(answered[path]).not.toBe(status.UNAVAILABLE);
      },
    );
  });
});
