import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { LargeReads } from "../../../gateway/backends/grpc/large-reads.ts";

function held() {
  const began: number[] = [];
  const ends: PromiseWithResolvers<number>[] = [];
  const read = (n: number) => () => {
    began.push(n);
    const end = Promise.withResolvers<number>();
    ends[n] = end;
    return end.promise;
  };
  return {
    began,
    read,
    end: (n: number) => ends[n]?.resolve(n),
    fail: (n: number) => ends[n]?.reject(new Error("no")),
  };
}

it("large executions are read one after the other, however the earlier reads ended", async () => {
  const reads = new LargeReads();
  const { began, read, end, fail } = held();
  const all = [0, 1, 2].map((n) => reads.run(read(n)));
  expect(began).toEqual([0]);
  fail(0);
  await expect(all[0]).rejects.toThrow("no");
  expect(began).toEqual([0, 1]);
  end(1);
  expect(await all[1]).toBe(1);
  expect(began).toEqual([0, 1, 2]);
  end(2);
  expect(await all[2]).toBe(2);
  void reads.run(read(3));
  void reads.run(read(4));
  expect(began).toEqual([0, 1, 2, 3]);
});

it("a client that goes away while its large read waits leaves its place in the queue", async () => {
  const reads = new LargeReads();
  const { began, read, end } = held();
  const first = reads.run(read(0));
  const gone = new AbortController();
  const left = reads.run(read(1), gone.signal);
  const last = reads.run(read(2));
  gone.abort();
  await expect(left).rejects.toMatchObject({ code: "cancelled" });
  await expect(reads.run(read(3), AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
  end(0);
  await first;
  await setImmediate();
  expect(began).toEqual([0, 2]);
  end(2);
  expect(await last).toBe(2);
});

it("a slow read of a large execution delays the others for a while only, and gives way once", async () => {
  const reads = new LargeReads(20);
  const { began, read, end } = held();
  const slow = reads.run(read(0));
  const next = reads.run(read(1));
  await expect.poll(() => began).toEqual([0, 1]);
  end(1);
  expect(await next).toBe(1);
  const patient = new LargeReads(60_000);
  const other = held();
  const all = [0, 1, 2].map((n) => patient.run(other.read(n)));
  other.end(0);
  await all[0];
  await setImmediate();
  expect(other.began).toEqual([0, 1]);
  end(0);
  expect(await slow).toBe(0);
});
