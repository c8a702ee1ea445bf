import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The tests start real services; more of them at once than there are cores only makes them slow.
    maxWorkers: 2,
  },
});
