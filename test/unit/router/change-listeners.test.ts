import { describe, expect, it } from "vitest";
import { createChangeListeners } from "../../../services/router/store/change-listeners.ts";

describe("the listeners to changes of executions", () => {
  it.each(["error", "newListener", "removeListener", "__proto__", "constructor", ""])(
    "the listeners to changes of an execution with the id %j are called like all others",
    (id) => {
      const listeners = createChangeListeners();
      listeners.tell(id);
      const heard: unknown[] = [];
      const remove = listeners.add(id, (change) => heard.push(change));
      listeners.tell(id, { kind: "paused" });
      listeners.tell("other");
      expect(heard).toEqual([{ kind: "paused" }]);
      expect(listeners.watched()).toEqual([id]);
      remove();
      listeners.tell(id);
      expect(heard).toHaveLength(1);
      expect(listeners.watched()).toEqual([]);
    },
  );

  it("a listener that is removed or added during a call takes part from the next call on", () => {
    const listeners = createChangeListeners();
    const heard: string[] = [];
    const removeFirst = listeners.add("a", () => {
      heard.push("first");
      removeFirst();
      listeners.add("a", () => heard.push("third"));
    });
    listeners.add("a", () => heard.push("second"));
    listeners.tell("a");
    listeners.tell("a");
    expect(heard).toEqual(["first", "second", "second", "third"]);
  });
});
