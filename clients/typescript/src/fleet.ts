/** The stubs over one channel, and the one way in which they are called. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CallOptions,
  Channel,
  ChannelCredentials,
  ClientUnaryCall,
  Metadata,
  ServiceError,
  credentials,
} from "@grpc/grpc-js";
import { TabularServiceClient } from "./gen/argosy/v1/tabular.js";
import { TextServiceClient } from "./gen/argosy/v1/text.js";
import { VisionServiceClient } from "./gen/argosy/v1/vision.js";
import { HealthClient } from "./gen/grpc/health/v1/health.js";
import { GRPCInferenceServiceClient } from "./gen/inference/grpc_service.js";
import { isServiceError, pauseBeforeRetryMs } from "./errors.js";
import { Run, UsageError } from "./flags.js";

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export interface Reply<Response> {
  message: Response;
  trailers: Metadata;
  /** What was refused before this answer came. */
  refusals: ServiceError[];
}

export interface CallLimits {
  timeoutMs?: number;
  cancelAfterMs?: number | undefined;
}

export class Fleet {
  readonly vision: VisionServiceClient;
  readonly text: TextServiceClient;
  readonly tabular: TabularServiceClient;
  readonly tensors: GRPCInferenceServiceClient;
  readonly health: HealthClient;
  private readonly channel: Channel;

  constructor(readonly run: Run) {
    const security = securityOf(run);
    this.channel = new Channel(run.address, security, channelOptions(run));
    const shared = { channelOverride: this.channel };
    this.vision = new VisionServiceClient(run.address, security, shared);
    this.text = new TextServiceClient(run.address, security, shared);
    this.tabular = new TabularServiceClient(run.address, security, shared);
    this.tensors = new GRPCInferenceServiceClient(run.address, security, shared);
    this.health = new HealthClient(run.address, security, shared);
  }

  close(): void {
    this.channel.close();
  }

  /** One call with its deadline, tried again when the fleet says so. Throws ServiceError. */
  async call<Request, Response>(
    method: Unary<Request, Response>,
    request: Request,
    model = "",
    limits: CallLimits = {},
  ): Promise<Reply<Response>> {
    const deadline = Date.now() + (limits.timeoutMs ?? this.run.timeoutMs);
    const refusals: ServiceError[] = [];
    for (;;) {
      try {
        return { ...(await attempt(method, request, model, deadline, limits.cancelAfterMs)), refusals };
      } catch (error) {
        const pauseMs = isServiceError(error) ? pauseBeforeRetryMs(error, deadline) : undefined;
        if (pauseMs === undefined) throw error;
        refusals.push(error as ServiceError);
        await sleep(pauseMs);
      }
    }
  }

  /** Throws UsageError where the file cannot be read. */
  sample(name: string): Buffer {
    try {
      return readFileSync(join(this.run.samples, name));
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  }

  sampleLines(name: string): string[] {
    return this.sample(name).toString("utf8").trimEnd().split("\n");
  }
}

function attempt<Request, Response>(
  method: Unary<Request, Response>,
  request: Request,
  model: string,
  deadline: number,
  cancelAfterMs: number | undefined,
): Promise<{ message: Response; trailers: Metadata }> {
  return new Promise((resolve, reject) => {
    const metadata = new Metadata();
    // Spares the router a look into the message, which names no version.
    if (model) {
      metadata.set("argosy-model", model);
      metadata.set("argosy-version", "");
    }
    let message: Response;
    const call = method(request, metadata, { deadline }, (error, response) => {
      if (error) reject(error);
      message = response;
    });
    // The program would live for as long as a timer waits.
    const timer = cancelAfterMs === undefined ? undefined : setTimeout(() => call.cancel(), cancelAfterMs);
    // The trailers come with the status, after the message; a call that fails has a status too.
    call.on("status", (status) => {
      clearTimeout(timer);
      resolve({ message, trailers: status.metadata });
    });
  });
}

function securityOf(run: Run): ChannelCredentials {
  if (run.tlsCa === undefined) return credentials.createInsecure();
  try {
    return credentials.createSsl(readFileSync(run.tlsCa));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function channelOptions(run: Run) {
  const isLoopback = run.address.startsWith("127.") || run.address.startsWith("localhost:");
  return {
    "grpc.max_receive_message_length": run.maxMessageBytes,
    "grpc.max_send_message_length": run.maxMessageBytes,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 2_000,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": isLoopback ? 0 : 1,
  };
}
