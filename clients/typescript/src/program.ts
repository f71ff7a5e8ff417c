/** The eight things of clients/README.md in TypeScript: `node build/program.js --address HOST:PORT`. */
import { describe, isServiceError } from "./errors.js";
import { UsageError, parseFlags } from "./flags.js";
import { Fleet } from "./fleet.js";
import { STEPS } from "./steps.js";

async function main(args: string[]): Promise<void> {
  const run = parseFlags(args, [...STEPS.keys()]);
  const fleet = new Fleet(run);
  try {
    for (const [name, step] of STEPS) {
      if (run.only !== undefined && run.only !== name) continue;
      for (const line of await step(fleet)) console.log(line);
    }
  } finally {
    fleet.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof UsageError) && !isServiceError(error)) throw error;
  console.error(`error: ${isServiceError(error) ? describe(error) : error.message}`);
  process.exitCode = isServiceError(error) ? 1 : 2;
});
