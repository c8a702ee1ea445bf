/** Secrets of the suite's projects. No script may hold one as text: its code is stored as it came. */
export const PLANTED = {
  TOKEN: "tok-5f2c9a7e41d0-wxyz",
  QUOTED: "pass\"word\\with/ünïcode&<tag>'s",
  KEY: "mB3kTz8WvQ1x/Yc6nRj0\nq7Vd2LmXw9/TzK+4Rf0J\nHs8eNbYc3+Ua/GpQo5Wi\nZp4gLh7s+KdUe2aXo9Tf\n",
  NUMBER: "48151623421234",
  PERIODIC: "zyxzyxzyxzyxzyx",
  FIRST: "overlap-begins-here-QQ",
  SECOND: "here-QQ-and-ends-there",
  OUTER: "outer(inner-core-value)outer",
  INNER: "inner-core-value",
} as const;

/** Of a project with brokered secrets: never in a worker. */
export const BROKERED = "erp+7c1f0a94e2/value=qq";

/** A secret of another project than those that try to get it. */
export const NEIGHBOURS = "neighbour-own-93c1aa7f-zz";

/** The secret that is rotated: before and after. */
export const ROTATED = { before: "old-value-1f9c03-aaaa", after: "new-value-77be21-bbbb" } as const;

/** What the output of the project `brief` is cut to, in bytes. */
export const BRIEF_BYTES = Math.round(0.001 * 2 ** 20);
