import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { AirlockError, asAirlockError } from "#common/errors.ts";

const thrownBy = (work: Promise<unknown>) => work.then(() => undefined, asAirlockError);

describe("a thrown value becomes an AirlockError:", () => {
  it("an AirlockError that is thrown stays itself", () => {
    const error = new AirlockError("queue_full", "Wait.");
    expect(asAirlockError(error)).toBe(error);
    expect(error).toMatchObject({ origin: "local", logDetail: undefined });
  });

  it("an AbortError becomes an AirlockError with code cancelled", async () => {
    const signal = AbortSignal.abort();
    expect(await thrownBy(sleep(1_000, undefined, { signal }))).toMatchObject({ code: "cancelled" });
    expect(await thrownBy(fetch("http://localhost", { signal }))).toMatchObject({ code: "cancelled" });
  });

  it("an AbortError whose signal had a reason of ours becomes that reason", async () => {
    const reason = new AirlockError("worker_lost", "The worker is gone.");
    expect(await thrownBy(sleep(1_000, undefined, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  it("a TimeoutError becomes an AirlockError with code deadline_exceeded, also below an AbortError", async () => {
    const expected = { code: "deadline_exceeded", message: expect.stringContaining("Try again") };
    expect(await thrownBy(sleep(1_000, undefined, { signal: AbortSignal.timeout(1) }))).toMatchObject(
      expected,
    );
    const overdue = AbortSignal.timeout(1);
    await new Promise((resolve) => overdue.addEventListener("abort", resolve));
    expect(await thrownBy(fetch("http://localhost", { signal: overdue }))).toMatchObject(expected);
  });

  it("a shortage of the machine becomes an AirlockError with code unavailable", () => {
    const shortage = Object.assign(new Error("open"), { code: "EMFILE" });
    expect(asAirlockError(shortage)).toMatchObject({ code: "unavailable", cause: shortage });
  });

  it.each([new Error("postgres://user:password@host"), "text", undefined])(
    "a thrown %s becomes an AirlockError with code internal",
    (thrown) => {
      expect(asAirlockError(thrown)).toMatchObject({
        code: "internal",
        message: expect.not.stringContaining("password"),
      });
    },
  );
});
