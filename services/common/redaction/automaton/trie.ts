/**
 * The prefixes of all patterns as a tree. Nodes are numbered breadth first, so that the children of a node
 * have consecutive numbers.
 */
export type Trie = {
  /** The number of nodes; node 0 is the root. */
  readonly size: number;
  /** The children of `node` are `firstChild[node]` up to, not including, `firstChild[node + 1]`. */
  readonly firstChild: Int32Array;
  /** For each node, the byte that leads to it from its parent. */
  readonly byteInto: Uint8Array;
  /** For each node, the number of bytes that lead from the root to it. */
  readonly depth: Int32Array;
  /** For each node, its parent; the root is its own parent. */
  readonly parent: Int32Array;
  /** For each pattern, the node in which it ends. */
  readonly endOf: Int32Array;
};

/** Nodes that are built in about a millisecond, after which other work may run. */
const NODES_PER_STEP = 8_192;

/**
 * Builds the tree of `patterns`, none of which may be empty. Yields about every millisecond, so that other
 * work can run.
 */
export function* trieSteps(patterns: readonly Uint8Array[]): Generator<void, Trie> {
  const order = patterns.map((_, index) => index);
  order.sort((a, b) => Buffer.compare(patterns[a] as Uint8Array, patterns[b] as Uint8Array));
  const capacity = patterns.reduce((sum, pattern) => sum + pattern.length, 1);
  const byte = new Uint8Array(capacity);
  const eldest = new Int32Array(capacity);
  const youngest = new Int32Array(capacity);
  const sibling = new Int32Array(capacity);
  const builtEnd = new Int32Array(patterns.length);
  let size = 1;

  // In sorted order a pattern shares nodes only with the pattern before it, and the new children of a node
  // come last.
  let path: number[] = [0];
  let previous: Uint8Array = new Uint8Array();
  let pauseAt = NODES_PER_STEP;
  yield;
  for (const index of order) {
    if (size >= pauseAt) {
      pauseAt = size + NODES_PER_STEP;
      yield;
    }
    const pattern = patterns[index] as Uint8Array;
    let shared = 0;
    while (shared < previous.length && previous[shared] === pattern[shared]) shared++;
    path = path.slice(0, shared + 1);
    for (let at = shared; at < pattern.length; at++) {
      const parent = path[at] as number;
      const node = size++;
      byte[node] = pattern[at] as number;
      if (eldest[parent] === 0) eldest[parent] = node;
      else sibling[youngest[parent] as number] = node;
      youngest[parent] = node;
      path.push(node);
    }
    builtEnd[index] = path[pattern.length] as number;
    previous = pattern;
  }

  const firstChild = new Int32Array(size + 1);
  const byteInto = new Uint8Array(size);
  const depth = new Int32Array(size);
  const parentOf = new Int32Array(size);
  const numberOf = new Int32Array(size);
  const queue = new Int32Array(size);
  let queued = 1;
  for (let node = 0; node < size; node++) {
    if (node % NODES_PER_STEP === 0) yield;
    const built = queue[node] as number;
    byteInto[node] = byte[built] as number;
    numberOf[built] = node;
    firstChild[node] = queued;
    for (let child = eldest[built] as number; child !== 0; child = sibling[child] as number) {
      depth[queued] = (depth[node] as number) + 1;
      parentOf[queued] = node;
      queue[queued++] = child;
    }
  }
  firstChild[size] = queued;
  const endOf = builtEnd.map((built) => numberOf[built] as number);
  return { size, firstChild, byteInto, depth, parent: parentOf, endOf };
}
