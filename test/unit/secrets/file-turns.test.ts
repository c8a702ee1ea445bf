import { beforeEach, describe, expect, it } from "vitest";
import { createFileTurns, type FileTurns } from "../../../services/secrets/sources/file-turns.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";

let clock: FakeClock;
let turns: FileTurns;
/** The calls that have begun, by the name of their file. */
let begun: Map<string, PromiseWithResolvers<string>>;
beforeEach(() => {
  clock = createFakeClock();
  turns = createFileTurns();
  begun = new Map();
});

function read(directory: string, name: string): Promise<string> {
  const reading = turns.run(directory, 1_500, clock, () => {
    const call = Promise.withResolvers<string>();
    begun.set(name, call);
    return call.promise;
  });
  reading.catch(() => undefined);
  return reading;
}

describe("a file system that hangs below the files of secrets", () => {
  it("keeps one thread, however many secrets lie there, and other directories are read", async () => {
    const hanging = ["a", "b", "c", "d"].map((name) => read("/dead", name));
    await settle();
    expect([...begun.keys()]).toEqual(["a"]);
    for (const name of ["x", "y", "z"]) {
      const reading = read("/alive", name);
      await settle();
      begun.get(name)?.resolve(name);
      expect(await reading).toBe(name);
    }
    await clock.advance(1_500);
    for (const reading of hanging) {
      await expect(reading).rejects.toMatchObject({ isPassing: true, reason: /does not answer/ });
    }
    // Callers that were refused take no thread later.
    begun.get("a")?.resolve("late");
    await settle();
    expect([...begun.keys()]).toEqual(["a", "x", "y", "z"]);
  });

  it("keeps two threads of Node's four, however many directories hang, and all are read when one answers", async () => {
    for (const directory of ["/one", "/two", "/three"]) void read(directory, directory);
    await settle();
    await clock.advance(1_500);
    expect([...begun.keys()]).toEqual(["/one", "/two"]);
    const refused = read("/alive", "x");
    await clock.advance(1_500);
    await expect(refused).rejects.toMatchObject({ isPassing: true });
    const waits = read("/alive", "y");
    begun.get("/one")?.reject(new Error("the server came back"));
    await settle();
    begun.get("y")?.resolve("y");
    expect(await waits).toBe("y");
    const again = read("/one", "again");
    await settle();
    begun.get("again")?.resolve("again");
    expect(await again).toBe("again");
  });

  it("passes on the error of a call that fails, and gives its turn back", async () => {
    const failing = read("/alive", "x");
    await settle();
    begun.get("x")?.reject(new Error("ENOENT"));
    await expect(failing).rejects.toThrow("ENOENT");
    const next = read("/alive", "y");
    await settle();
    begun.get("y")?.resolve("y");
    expect(await next).toBe("y");
  });
});
