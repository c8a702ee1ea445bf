/**
 * Runs tasks with the same key one after another, in the order of the calls. Tasks with different keys do not
 * wait for each other.
 */
export type InOrder = <T>(key: string, task: () => Promise<T>) => Promise<T>;

export function createInOrder(): InOrder {
  const lastOf = new Map<string, Promise<unknown>>();
  return (key, task) => {
    const result = (lastOf.get(key) ?? Promise.resolve()).then(task);
    const settled = result
      .catch(() => undefined)
      .finally(() => {
        if (lastOf.get(key) === settled) lastOf.delete(key);
      });
    lastOf.set(key, settled);
    return result;
  };
}
