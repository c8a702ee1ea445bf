import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // How long something may take to come true; a busy machine is no failure.
    expect: { poll: { timeout: 15_000, interval: 20 } },
    // The tests start real services; more of them at once than there are cores only makes them slow.
    maxWorkers: 2,
  },
});
