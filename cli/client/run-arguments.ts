import { parseFlags, usageError } from "../flags.ts";

export type RunArguments = {
  /** The path of the script, or - for standard input. */
  readonly file: string;
  readonly project: string;
  /** Seconds that the script may run; undefined: 60, or the project's limit if that is less. */
  readonly timeoutSeconds: number | undefined;
  readonly settings: Readonly<Record<string, string>>;
  /** The path of the file with the memory that the script gets; undefined: it gets none. */
  readonly memoryFile: string | undefined;
  /**
   * The path of the file to which the memory with the script's updates is written; undefined: the updates are
   * not saved.
   */
  readonly saveMemory: string | undefined;
  /** Whether only the ended execution is printed, as the JSON that the gateway sent. */
  readonly json: boolean;
};

/** Parses the arguments of `./airlock run`. Throws a ConfigError. */
export function parseRunArguments(args: readonly string[]): RunArguments {
  const { values, positionals } = parseFlags("run", args, {
    project: { type: "string", short: "p" },
    timeout: { type: "string" },
    setting: { type: "string", multiple: true, default: [] },
    memory: { type: "string" },
    "save-memory": { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1)
    throw usageError("run", "run takes one file, or - for standard input.");
  const settings = values.setting.map(parseSetting);
  const names = settings.map(([name]) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw usageError("run", `--setting ${twice} is given more than once.`);
  if (!values.project) throw usageError("run", "run needs --project NAME.");
  return {
    file,
    project: values.project,
    timeoutSeconds: parseTimeout(values.timeout),
    settings: Object.fromEntries(settings),
    memoryFile: values.memory,
    saveMemory: values["save-memory"],
    json: values.json,
  };
}

function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (text.trim() !== "" && Number.isFinite(seconds) && seconds > 0) return seconds;
  throw usageError("run", `--timeout must be a number of seconds above 0, not "${text}".`);
}

function parseSetting(text: string): [string, string] {
  const at = text.indexOf("=");
  // The error does not repeat the given text, because it may hold a secret.
  if (at < 1) throw usageError("run", "--setting must be KEY=VALUE.");
  return [text.slice(0, at), text.slice(at + 1)];
}
