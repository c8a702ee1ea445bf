/** Secrets of the suite's projects. No script's code may contain one, because the code is stored unchanged. */
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

/** The value of a brokered secret, which never reaches a worker. */
export const BROKERED = "erp+7c1f0a94e2/value=qq";

/** A secret of a project whose neighbours try to read it. */
export const NEIGHBOURS = "neighbour-own-93c1aa7f-zz";

/** The values of a rotated secret, before and after the rotation. */
export const ROTATED = { before: "old-value-1f9c03-aaaa", after: "new-value-77be21-bbbb" } as const;

/** The output limit of the project `brief`, in bytes. */
export const BRIEF_BYTES = Math.round(0.001 * 2 ** 20);
