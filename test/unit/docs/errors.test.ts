import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ERROR_RULES } from "#common/errors.ts";
import { readPage, rowsOf } from "../../support/pages.ts";

describe("docs/errors.md", () => {
  it("docs/errors.md has every error code with its statuses and when to send again, and no other", async () => {
    const listed = rowsOf(await readPage("docs/errors.md"))
      .filter(([code]) => code?.startsWith("`"))
      .map(([code, http, grpc, again]) => [code, http, grpc, again]);
    const known = Object.entries(ERROR_RULES).map(([code, { http, grpc, retryAfterSeconds }]) => [
      `\`${code}\``,
      String(http),
      status[grpc],
      retryAfterSeconds === undefined ? "–" : String(retryAfterSeconds),
    ]);
    expect(listed).toEqual(known);
  });
});
