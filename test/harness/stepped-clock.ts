// Loaded before a service, it makes the system's clock one that is set: by as many milliseconds as the file STEP_FILE says.
import { readFileSync } from "node:fs";

const file = process.env.STEP_FILE ?? "";
const now = Date.now;
let stepMs = 0;

function look(): void {
  try {
    stepMs = Number(readFileSync(file, "utf8"));
  } catch {
    stepMs = 0;
  }
}

setInterval(look, 20).unref();
Date.now = () => now() + stepMs;
