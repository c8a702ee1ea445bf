import { describe, expect, it } from "vitest";
import { BodyBudget } from "../../../gateway/rest/body/body-budget.ts";

const MIB = 1024 * 1024;

function budget() {
  let nowMs = 0;
  const givenUp: string[] = [];
  const all = new BodyBudget(() => nowMs);
  return {
    all,
    givenUp,
    pass: (ms: number) => {
      nowMs += ms;
    },
    open: (name: string) => all.open((error) => givenUp.push(`${name}: ${error.code}`)),
  };
}

describe("the budget of bodies", () => {
  it("the budget of bodies has space for four of the largest bodies at once, and again when one is answered", () => {
    const { all, open } = budget();
    const holds = ["a", "b", "c", "d"].map((name) => {
      const hold = open(name);
      hold.add(16 * MIB);
      hold.complete();
      return hold;
    });
    expect(() => open("e").add(MIB)).toThrow(expect.objectContaining({ code: "overloaded" }));
    holds[0]?.release();
    holds[0]?.release();
    open("f").add(MIB);
    expect(all.bytes).toBe(49 * MIB);
  });

  it("the budget of bodies has space for small bodies however many large ones there are", () => {
    const { open } = budget();
    for (let n = 0; n < 4; n++) open("large").add(16 * MIB);
    expect(() => {
      for (let n = 0; n < 400; n++) open("small").add(64 * 1024);
    }).not.toThrow();
  });

  it("the budget of bodies bounds small bodies, too", () => {
    const { all, open } = budget();
    expect(() => {
      for (let n = 0; n < 10_000; n++) {
        const hold = open("small");
        hold.add(64 * 1024);
        hold.complete();
      }
    }).toThrow(expect.objectContaining({ code: "overloaded" }));
    expect(all.bytes).toBe(32 * MIB);
  });

  it("the budget of bodies admits a small body at once where many others have stopped halfway, and gives up the first of them", () => {
    const { all, givenUp, pass, open } = budget();
    for (let n = 0; n < 512; n++) {
      open(`half ${n}`).add(64 * 1024);
      pass(1);
    }
    const hold = open("whole");
    hold.add(100);
    hold.complete();
    expect(givenUp).toEqual(["half 0: overloaded"]);
    expect(all.bytes).toBe(32 * MIB - 64 * 1024 + 100);
  });

  it("the budget of bodies keeps a moving large body when small ones stop, and gives up one that sends a byte now and then", () => {
    const { givenUp, pass, open } = budget();
    const upload = open("upload");
    const trickle = open("trickle");
    upload.add(64 * 1024);
    trickle.add(64 * 1024);
    for (let n = 0; n < 2_000; n++) {
      open("half").add(64 * 1024);
      pass(10);
      if (n % 100 !== 0) continue;
      upload.add(64 * 1024);
      if (n < 500) trickle.add(1);
    }
    expect(givenUp).not.toContain("upload: overloaded");
    expect(givenUp[0]).toBe("trickle: overloaded");
  });

  it("the budget of bodies gives up a large body that stands still for a second when the space is needed, but none that moves", () => {
    const { givenUp, pass, open } = budget();
    const moving = ["a", "b", "c"].map((name) => {
      const hold = open(name);
      hold.add(15 * MIB);
      return hold;
    });
    open("still").add(16 * MIB);
    pass(900);
    for (const hold of moving) hold.add(64 * 1024);
    expect(() => open("too early").add(10 * MIB)).toThrow();
    pass(100);
    open("late").add(10 * MIB);
    expect(givenUp).toEqual(["still: overloaded"]);
  });

  it("the budget of bodies gives up bodies that have not arrived after five seconds, oldest first, when the space is needed", () => {
    const { givenUp, pass, open } = budget();
    for (const name of ["a", "b", "c", "d"]) {
      open(name).add(16 * MIB);
      pass(100);
    }
    expect(() => open("too early").add(10 * MIB)).toThrow();
    pass(5_000);
    open("late").add(20 * MIB);
    expect(givenUp).toEqual(["a: overloaded", "b: overloaded"]);
  });

  it("the budget of bodies keeps bodies that have arrived completely", () => {
    const { givenUp, pass, open } = budget();
    for (let n = 0; n < 4; n++) {
      const hold = open("whole");
      hold.add(16 * MIB);
      hold.complete();
    }
    pass(60_000);
    expect(() => open("other").add(MIB)).toThrow(expect.objectContaining({ code: "overloaded" }));
    expect(givenUp).toEqual([]);
  });
});
