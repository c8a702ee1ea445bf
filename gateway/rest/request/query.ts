import type { FastifyInstance } from "fastify";
import { InvalidFields } from "../problems.ts";

// Matches a number in a query. A plus sign is decoded to a space there, so 1e+3 arrives as "1e 3".
const NUMBER = /^-?\d+(\.\d+)?(e[+ -]?\d+)?$/i;

type PropertySchemas = { readonly properties?: Readonly<Record<string, { readonly type?: unknown }>> };

/**
 * Converts query parameters whose schema says number, in any form in which programs print numbers. Refuses a
 * parameter that is given more than once. Other text, such as "0x10", "NaN", "" and " 5", stays as it is, so
 * that the schema refuses it.
 */
export function readQueryNumbers(app: FastifyInstance): void {
  app.addHook("preValidation", async (request) => {
    const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as PropertySchemas;
    const query = request.query as Record<string, unknown>;
    const twice = Object.keys(query).filter((name) => Array.isArray(query[name]));
    if (twice.length > 0) {
      const problems = twice.map((field) => ({ field, message: "is given more than once" }));
      throw new InvalidFields(problems, "query parameter ");
    }
    for (const [name, { type }] of Object.entries(properties)) {
      const value = query[name];
      if (type !== "number" && type !== "integer") continue;
      if (typeof value === "string" && NUMBER.test(value)) query[name] = Number(value.replace(" ", "+"));
    }
  });
}
