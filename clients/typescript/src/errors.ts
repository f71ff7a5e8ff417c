/** What a failed call says: its status, and the google.rpc details in its trailers. */
import { ServiceError, status } from "@grpc/grpc-js";
import { ErrorInfo, RetryInfo } from "./gen/google/rpc/error_details.js";
import { Status } from "./gen/google/rpc/status.js";

export interface Details {
  reason: string;
  field: string;
  /** Set where the same request can succeed later. */
  retryAfterMs: number | undefined;
}

export function detailsOf(error: ServiceError): Details {
  const found: Details = { reason: "", field: "", retryAfterMs: undefined };
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!Buffer.isBuffer(packed)) return found;
  for (const detail of Status.decode(packed).details) {
    if (detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) {
      const info = ErrorInfo.decode(detail.value);
      found.reason = info.reason;
      found.field = info.metadata["field"] ?? "";
    } else if (detail.typeUrl.endsWith("/google.rpc.RetryInfo")) {
      const delay = RetryInfo.decode(detail.value).retryDelay;
      found.retryAfterMs = delay && delay.seconds * 1e3 + delay.nanos / 1e6;
    }
  }
  return found;
}

/** How long to wait before the next attempt; undefined: give up. */
export function pauseBeforeRetryMs(error: ServiceError, deadline: number): number | undefined {
  if (error.code !== status.UNAVAILABLE && error.code !== status.RESOURCE_EXHAUSTED) return undefined;
  const { retryAfterMs } = detailsOf(error);
  return retryAfterMs !== undefined && Date.now() + retryAfterMs < deadline ? retryAfterMs : undefined;
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

/** One line: STATUS REASON field=FIELD: MESSAGE. */
export function describe(error: ServiceError): string {
  const { reason, field } = detailsOf(error);
  const words = [status[error.code], reason, field && `field=${field}`];
  return `${words.filter(Boolean).join(" ")}: ${error.details.split(/\s+/).join(" ")}`;
}
