import { describe, expect, it } from "vitest";
import { createConnectionLine } from "../../../services/egress/proxy/destination.ts";

const RUN = {};
const never = () => new AbortController().signal;

describe("the connections to servers", () => {
  it("the connections to servers of one project leave half of all connections to other projects", async () => {
    const line = createConnectionLine(80);
    const ends = await Promise.all(
      Array.from({ length: 10 }, () => line({ project: "a", run: {} }, never())),
    );
    let isEleventh = false;
    const eleventh = line({ project: "a", run: {} }, never()).then((end) => {
      isEleventh = true;
      return end;
    });
    const other = await line({ project: "b", run: {} }, never());
    expect(isEleventh).toBe(false);
    ends[0]?.();
    (await eleventh)();
    other();
  });

  it("the connections to servers of one run are as many as the run may have to the proxy", async () => {
    const line = createConnectionLine(1_000_000);
    await Promise.all(Array.from({ length: 256 }, () => line({ project: "a", run: RUN }, never())));
    await expect(line({ project: "a", run: RUN }, AbortSignal.timeout(20))).rejects.toThrow();
    (await line({ project: "a", run: {} }, never()))();
  });
});
