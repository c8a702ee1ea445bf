import { parseFlags, usageError } from "../cli/flags.ts";
import { PLANS, type Plan } from "./plan.ts";
import { isRowName, ROW_NAMES, type RowName } from "./row-names.ts";

export type Options = {
  readonly plan: Plan;
  readonly rows: readonly RowName[];
  readonly json: boolean;
  readonly profile: boolean;
  readonly guard: boolean;
  readonly bounds: string | undefined;
  readonly writeReadme: boolean;
};

const FLAGS = {
  quick: { type: "boolean", default: false },
  only: { type: "string" },
  json: { type: "boolean", default: false },
  profile: { type: "boolean", default: false },
  guard: { type: "boolean", default: false },
  bounds: { type: "string" },
  "write-readme": { type: "boolean", default: false },
} as const;

/** Reads the flags of `./airlock bench`. Throws a ConfigError that says what is wrong. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseFlags("bench", args, FLAGS);
  const refuse = (sentence: string) => usageError("bench", sentence);
  if (positionals.length > 0) throw refuse(`${positionals[0]} is no flag.`);
  const only = values.only?.split(",");
  const unknown = only?.find((name) => !isRowName(name));
  if (unknown !== undefined)
    throw refuse(`--only takes ${ROW_NAMES.join(", ")}, with commas between; not "${unknown}".`);
  if (values.bounds !== undefined && !values.guard) throw refuse("--bounds belongs to --guard.");
  if (values["write-readme"] && (values.guard || only))
    throw refuse("--write-readme writes every row; leave --guard and --only out.");
  return {
    plan: values.guard ? PLANS.guard : values.quick ? PLANS.quick : PLANS.full,
    rows: only ? ROW_NAMES.filter((name) => only.includes(name)) : ROW_NAMES,
    json: values.json,
    profile: values.profile,
    guard: values.guard,
    bounds: values.bounds,
    writeReadme: values["write-readme"],
  };
}
