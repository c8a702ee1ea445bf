import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const INSTALL_MS = 600_000;
// A value of each Arrow type with more digits than a float has, beside a missing one.
const COLUMN = `
import datetime, decimal
import pandas as pd, pyarrow as pa
BIG = 2**53 + 1
def column(type, *values):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, type)])))
`;

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  const project = 'packages: ["pandas>=3,<4", pyarrow]\nlimits: {memory_mb: 1024}\n';
  airlock = await startAirlock({ projects: { arrow: project } });
  rest = restClient(airlock.url);
});
afterAll(() => airlock.remove());

const resultOf = async (value: string) => {
  const id = await rest.submit({ project: "arrow", code: `${COLUMN}set_result(${value})` });
  const execution = await rest.settledText(id);
  return /"result":(.+?),"stdout"/.exec(execution)?.[1] + (JSON.parse(execution).error ?? "");
};

describe("the columns of Arrow types", { timeout: INSTALL_MS }, () => {
  it.each([
    ["pa.int64(), BIG, None", "[9007199254740993,null]"],
    ["pa.uint64(), 2**63 + 1, None", "[9223372036854775809,null]"],
    [
      'pa.struct({"id": pa.int64()}), {"id": BIG}, {"id": None}, None',
      '[{"id":9007199254740993},{"id":null},null]',
    ],
    ["pa.list_(pa.int64()), [BIG, None], None", "[[9007199254740993,null],null]"],
    ["pa.large_list(pa.int64()), [BIG, None]", "[[9007199254740993,null]]"],
    ["pa.list_(pa.int64(), 2), [BIG, None]", "[[9007199254740993,null]]"],
    ["pa.list_view(pa.int64()), [BIG, None]", "[[9007199254740993,null]]"],
    [
      'pa.map_(pa.string(), pa.int64()), [("a", BIG), ("b", None)], None',
      '[[["a",9007199254740993],["b",null]],null]',
    ],
    [
      'pa.struct({"a": pa.list_(pa.struct({"id": pa.int64()}))}), {"a": [{"id": BIG}, {"id": None}]}, {"a": None}',
      '[{"a":[{"id":9007199254740993},{"id":null}]},{"a":null}]',
    ],
    ["pa.dictionary(pa.int32(), pa.int64()), BIG, None", "[9007199254740993,null]"],
    ["pa.list_(pa.decimal128(3, 2)), [decimal.Decimal('1.10'), None]", '[["1.10",null]]'],
    ["pa.list_(pa.bool_()), [True, None]", "[[true,null]]"],
    ["pa.list_(pa.float64()), [0.1, None]", "[[0.1,null]]"],
    ["pa.list_(pa.timestamp('ns')), [1, None]", '[["1970-01-01T00:00:00.000000001",null]]'],
    ["pa.list_(pa.duration('ns')), [1, None]", '[["P0DT0H0M0.000000001S",null]]'],
    ["pa.time64('ns'), 45296123456789, 45296000000000, None", '["12:34:56.123456789","12:34:56",null]'],
    ["pa.time64('us'), 45296123456, None", '["12:34:56.123456",null]'],
    [
      `pa.struct({"t": pa.time64('ns'), "u": pa.map_(pa.string(), pa.list_(pa.time64('ns')))}), {"t": 1_000, "u": [("a", [1, None])]}`,
      '[{"t":"00:00:00.000001","u":[["a",["00:00:00.000000001",null]]]}]',
    ],
  ])("the columns of Arrow types keep each digit beside a missing value: %s", async (values, result) => {
    expect(await resultOf(`column(${values})`)).toBe(result);
    expect(await resultOf(`pd.DataFrame({"c": column(${values})})["c"].array`)).toBe(result);
  });

  it("the columns of Arrow types that hold NaN, or a time beyond Python's, end in an error with the place", async () => {
    expect(await resultOf("column(pa.list_(pa.float64()), [0.1, float('nan')])")).toContain(
      "result[0][1] is NaN",
    );
    expect(await resultOf("column(pa.list_(pa.timestamp('s')), [10**12])")).toMatch(
      /result is of type list<.*timestamp\[s\]>\[pyarrow\], and Python cannot hold one of its values: .*; convert it with \.astype\(\)/,
    );
  });
});
