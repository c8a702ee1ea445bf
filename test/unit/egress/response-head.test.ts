import { describe, expect, it } from "vitest";
import { Secret } from "#common/secret.ts";
import { newPlaceholder } from "../../../services/egress/brokered/placeholders.ts";
import {
  type ResponseFilter,
  redactLines,
  responseFilters,
} from "../../../services/egress/brokered/response-filter.ts";

const VALUE = "k7Hq2Vb9Lx4Tn8Rw3Yz6Pd1Mf5Js0GcA";
const placeholder = newPlaceholder(new Secret("KEY", VALUE), {
  host: "erp.example",
  port: 443,
  header: "authorization",
  format: "{}",
});
const filter = responseFilters([placeholder]).get("erp.example") as ResponseFilter;

describe("the head of a response", () => {
  it("the head of a response has the placeholder wherever the value stood, and all other lines unchanged", () => {
    const lines = Array.from({ length: 3_000 }, (_, at) =>
      at % 700 === 3 ? `x=${VALUE}; ${at}` : `line ${at}`,
    );
    expect(redactLines(filter, lines)).toEqual(lines.map((line) => line.replace(VALUE, placeholder.text)));
    expect(redactLines(filter, [])).toEqual([]);
  });

  it("the head of a response leaves a value unchanged that begins in one line and ends in the next", () => {
    const lines = [VALUE.slice(0, 20), VALUE.slice(20), Buffer.from(VALUE).toString("base64").slice(0, 30)];
    expect(redactLines(filter, lines)).toEqual(lines);
  });
});
