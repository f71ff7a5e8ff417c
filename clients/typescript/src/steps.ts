/** The eight things; each gives the lines that all languages print alike. */
import { ServiceError, status } from "@grpc/grpc-js";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "./gen/grpc/health/v1/health.js";
import { Category } from "./gen/argosy/v1/prediction.js";
import { RowPrediction } from "./gen/argosy/v1/tabular.js";
import { VisionServiceClassifyRequest } from "./gen/argosy/v1/vision.js";
import { ModelInferRequest, ModelInferResponse_InferOutputTensor } from "./gen/inference/grpc_service.js";
import { detailsOf, isServiceError } from "./errors.js";
import { Fleet } from "./fleet.js";

const CALLS_AT_ONCE = 16;

type Step = (fleet: Fleet) => Promise<string[]>;

export const STEPS: ReadonlyMap<string, Step> = new Map<string, Step>([
  ["image", image],
  ["embedding", embedding],
  ["table", table],
  ["tensor", tensor],
  ["deadline", deadline],
  ["wrong-input", wrongInput],
  ["refusal", refusal],
  ["health", health],
]);

async function image(fleet: Fleet): Promise<string[]> {
  const request = imageRequest(fleet, [fleet.sample("seven.png")]);
  const reply = await fleet.call(fleet.vision.classify.bind(fleet.vision), request, request.model);
  const names = Object.keys(reply.trailers.getMap()).filter((name) => name.startsWith("argosy-"));
  const best = reply.message.results[0]!.categories[0]!;
  return [`image: ${categoryText(best)}`, `trailers: ${names.sort().join(" ")}`];
}

async function embedding(fleet: Fleet): Promise<string[]> {
  const { cancelAfterMs } = fleet.run;
  const sentences = fleet.sampleLines("sentences.txt");
  const texts = cancelAfterMs === undefined ? sentences : repeated(sentences, 100);
  const request = { model: "minilm", version: "", texts };
  const reply = await fleet.call(fleet.text.embed.bind(fleet.text), request, "minilm", { cancelAfterMs });
  const [first, second] = reply.message.results.map((result) => result.embedding?.values ?? []);
  const cosine = dot(first!, second!) / Math.sqrt(dot(first!, first!) * dot(second!, second!));
  return [`embedding: ${first!.length} values, cosine ${cosine.toFixed(3)}`];
}

async function table(fleet: Fleet): Promise<string[]> {
  const lines: string[] = [];
  for (const model of ["diabetes", "income"]) {
    const rows = fleet.sampleLines(`${model}.jsonl`).map((line) => JSON.parse(line));
    const request = { model, version: "", rows };
    const reply = await fleet.call(fleet.tabular.predict.bind(fleet.tabular), request, model);
    reply.message.results.forEach((result, i) => lines.push(`table: ${model} row ${i + 1}: ${rowText(result)}`));
  }
  return lines;
}

async function tensor(fleet: Fleet): Promise<string[]> {
  const pixels = new DataView(new ArrayBuffer(28 * 28 * 4));
  for (let row = 4; row < 24; row++) {
    for (let column = 13; column < 15; column++) pixels.setFloat32(4 * (28 * row + column), 1, true);
  }
  const request = ModelInferRequest.fromPartial({
    modelName: fleet.run.model,
    inputs: [{ name: "image", datatype: "FP32", shape: [1, 28, 28, 1] }],
    rawInputContents: [Buffer.from(pixels.buffer)],
  });
  const reply = await fleet.call(fleet.tensors.modelInfer.bind(fleet.tensors), request, fleet.run.model);
  return [tensorText(reply.message.outputs[0]!, reply.message.rawOutputContents[0]!)];
}

async function deadline(fleet: Fleet): Promise<string[]> {
  const request = { model: "minilm", version: "", texts: repeated(fleet.sampleLines("sentences.txt"), 100) };
  const asked = fleet.call(fleet.text.embed.bind(fleet.text), request, "minilm", { timeoutMs: 5 });
  const error = await failure(asked, status.DEADLINE_EXCEEDED);
  return [`deadline: ${error ? status[error.code] : "OK"}`];
}

async function wrongInput(fleet: Fleet): Promise<string[]> {
  const request = imageRequest(fleet, [Buffer.from("not an image")]);
  const asked = fleet.call(fleet.vision.classify.bind(fleet.vision), request, request.model);
  const error = await failure(asked, status.INVALID_ARGUMENT);
  if (!error) return ["wrong-input: OK"];
  const { reason, field } = detailsOf(error);
  return [`wrong-input: ${status[error.code]} ${reason} field=${field}`];
}

/** More than the queue takes, at once: what is refused is sent again when the fleet says so. */
async function refusal(fleet: Fleet): Promise<string[]> {
  const request = imageRequest(fleet, repeated([fleet.sample("seven.png")], 300));
  const calls = Array.from({ length: CALLS_AT_ONCE }, () =>
    fleet.call(fleet.vision.classify.bind(fleet.vision), request, request.model),
  );
  const replies = await Promise.all(calls);
  const [first] = replies.flatMap((reply) => reply.refusals);
  const refused = first ? `${status[first.code]} ${detailsOf(first).reason}` : "OK";
  return [`refusal: ${refused}, ${replies.length} of ${CALLS_AT_ONCE} answered after retries`];
}

async function health(fleet: Fleet): Promise<string[]> {
  const check = async (service: string) => {
    const reply = await fleet.call(fleet.health.check.bind(fleet.health), { service });
    return ServingStatus[reply.message.status];
  };
  return [`health: fleet ${await check("")}, ${fleet.run.model} ${await check(fleet.run.model)}`];
}

function imageRequest(fleet: Fleet, images: Buffer[]): VisionServiceClassifyRequest {
  return { model: fleet.run.model, version: "", images, topK: 1 };
}

/** The error of a call that is to fail with `code`; undefined where it succeeds. Throws any other. */
async function failure(call: Promise<unknown>, code: status): Promise<ServiceError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (isServiceError(error) && error.code === code) return error;
    throw error;
  }
}

function categoryText(category: Category): string {
  return `${category.label} ${category.score.toFixed(3)}`;
}

function rowText(result: RowPrediction): string {
  const words = result.quantities.map(({ name, value }) => `${name} ${value.toFixed(1)}`);
  words.push(...result.categories.slice(0, 1).map(categoryText));
  if (result.imputedColumns.length > 0) words.push(`(imputed ${[...result.imputedColumns].sort().join(" ")})`);
  return words.join(" ");
}

function tensorText(output: ModelInferResponse_InferOutputTensor, data: Buffer): string {
  const values = Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i));
  const best = Math.max(...values);
  const what = `${output.name} ${output.datatype} [${output.shape.join(", ")}]`;
  return `tensor: ${what}, likeliest ${values.indexOf(best)} ${best.toFixed(3)}`;
}

function repeated<Item>(items: Item[], times: number): Item[] {
  return Array.from({ length: times }, () => items).flat();
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}
