/** What the flags ask for. */
import { parseArgs } from "node:util";

export interface Run {
  address: string;
  samples: string;
  tlsCa: string | undefined;
  timeoutMs: number;
  only: string | undefined;
  model: string;
  maxMessageBytes: number;
  cancelAfterMs: number | undefined;
}

/** What is wrong with the flags or the samples, not with a call. */
export class UsageError extends Error {}

/** Throws UsageError. */
export function parseFlags(args: string[], stepNames: string[]): Run {
  const values = read(args);
  if (values.only !== undefined && !stepNames.includes(values.only)) {
    throw new UsageError(`no step '${values.only}': ${stepNames.join(", ")}`);
  }
  return {
    address: values.address ?? "127.0.0.1:8500",
    samples: values.samples ?? "clients/samples",
    tlsCa: values["tls-ca"],
    timeoutMs: 1000 * number("timeout-s", values["timeout-s"] ?? "10"),
    only: values.only,
    model: values.model ?? "digits",
    maxMessageBytes: number("max-message-bytes", values["max-message-bytes"] ?? `${64 << 20}`),
    cancelAfterMs:
      values["cancel-after-ms"] === undefined ? undefined : number("cancel-after-ms", values["cancel-after-ms"]),
  };
}

function read(args: string[]) {
  const type = "string" as const;
  try {
    return parseArgs({
      args,
      options: {
        address: { type },
        samples: { type },
        "tls-ca": { type },
        "timeout-s": { type },
        only: { type },
        model: { type },
        "max-message-bytes": { type },
        "cancel-after-ms": { type },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function number(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new UsageError(`--${flag} takes a number, got '${text}'`);
  return value;
}
