import { COMMANDS, type Command } from "./commands.ts";

/** The help page of one command, or of all commands when `name` is no command. */
export function helpText(name?: string): string {
  const command = COMMANDS.find((each) => each.name === name);
  return command ? pageOf(command) : overview();
}

function overview(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  const line = (name: string) => {
    const command = COMMANDS.find((each) => each.name === name);
    return `  ${name.padEnd(width)}  ${command?.summary}\n`;
  };
  return `Airlock runs AI agents' Python next to real credentials; only redacted output comes back.

Use it:
${["up", "projects", "run", "logs", "down", "lock", "login", "logout", "whoami", "keys", "doctor"].map(line).join("")}
Deploy it:
${["init", "certs"].map(line).join("")}
Work on it:
${["check", "test", "bench", "generate"].map(line).join("")}  ${"version".padEnd(width)}  print the version of Airlock

./airlock help COMMAND has the details. The client commands talk to AIRLOCK_URL,
or to http://127.0.0.1:8000 (AIRLOCK_PORT).
`;
}

function pageOf({ usage, summary, options = [] }: Command): string {
  const width = Math.max(0, ...options.map(([flag]) => flag.length));
  const usages = usage.split("\n").map((each) => `  ./airlock ${each}\n`);
  const details = options.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}\n`);
  return `${usages.join("")}\n${summary[0]?.toUpperCase()}${summary.slice(1)}.\n${
    details.length > 0 ? `\n${details.join("")}` : ""
  }`;
}
